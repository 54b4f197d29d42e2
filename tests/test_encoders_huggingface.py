"""Hugging Face models as encoders: tiny, randomly drawn, saved to a folder and read from there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from msam_lib.data import Modality
from msam_lib.errors import MsamError
from msam_lib.models import build_encoder
from tests.huggingface_models import IMAGE, SOUND, SPECTROGRAM, WORDS, save_models, token_ids

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return save_models(transformers, tmp_path_factory.mktemp("hf"))


def test_text_is_the_masked_mean_of_the_last_hidden_state(folders):
    encoder = build_encoder(WORDS, f"hf:{folders['bert']}").eval()
    network = transformers.AutoModel.from_pretrained(folders["bert"]).eval()
    for row in token_ids():
        words = row[row != 0]
        alone = network(words[None]).last_hidden_state[0]
        assert torch.allclose(encoder(row[None])[0], alone.mean(0), atol=1e-5)
    first = build_encoder(WORDS, f"hf:{folders['bert']}", pooling="first").eval()
    assert torch.allclose(first(words[None])[0], alone[0], atol=1e-5)
    shifted = build_encoder(WORDS, f"hf:{folders['bert']}", padding=7).eval()
    assert torch.allclose(shifted(torch.tensor([[*words, 7]])), encoder(words[None]), atol=1e-5)
    assert torch.isfinite(encoder(torch.zeros(1, 6))).all()  # an absent modality


def test_images_are_resized_and_grey_ones_repeated(folders):
    encoder = build_encoder(IMAGE, f"hf:{folders['vit']}").eval()
    network = transformers.AutoModel.from_pretrained(folders["vit"]).eval()
    x = torch.randn(2, 1, 8, 8)
    expected = network(x.expand(-1, 3, -1, -1)).last_hidden_state.mean(1)
    assert torch.allclose(encoder(x), expected, atol=1e-5)
    large = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    flat = torch.full((1, 1, 16, 16), 0.3)  # resizing keeps a constant image
    assert torch.allclose(encoder(flat), encoder(flat[:, :, :8, :8]), atol=1e-5)
    assert encoder(large).shape == (2, 32)
    video = build_encoder(Modality("video", (3, 1, 8, 8)), f"hf:{folders['vit']}").eval()
    frames = torch.randn(2, 3, 1, 8, 8)
    each = torch.stack([encoder(f) for f in frames.unbind(1)])
    assert torch.allclose(video(frames), each.mean(0), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "modality"),
    [("wav2vec2", SOUND), ("ast", SPECTROGRAM), ("whisper", SPECTROGRAM)],
)
def test_sound(folders, name, modality):
    encoder = build_encoder(modality, f"hf:{folders[name]}", trainable="last:1").eval()
    x = torch.randn(2, *modality.shape)
    network = transformers.AutoModel.from_pretrained(folders[name]).eval()
    if name == "whisper":
        given = torch.nn.functional.pad(x[:, 0], (0, 12))  # to 32 frames
        expected = network.get_encoder()(given).last_hidden_state
    elif name == "ast":
        given = torch.nn.functional.pad(x[:, 0], (0, 12)).transpose(1, 2)
        expected = network(given).last_hidden_state
    else:
        expected = network(x).last_hidden_state
    assert torch.allclose(encoder(x), expected.mean(1), atol=1e-5)
    trained = {k for k, p in encoder.named_parameters() if p.requires_grad}
    last = [k for k in trained if ".layers.1." in k]
    assert len(last) > 10 and all("layer_norm" in k or "layernorm" in k for k in trained - {*last})


def test_half_precision_files_become_single(folders, tmp_path):
    network = transformers.AutoModel.from_pretrained(folders["bert"], dtype=torch.bfloat16)
    network.save_pretrained(tmp_path)
    encoder = build_encoder(WORDS, f"hf:{tmp_path}")
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "modality", "message"),
    [
        ("bert", Modality("image", (3, 8, 8)), "reads input_ids: characters; .* is a image"),
        ("vit", WORDS, "reads pixel_values: image"),
        (
            "bert",
            replace(WORDS, vocabulary=31),
            "has 30 tokens, this modality has 31",
        ),
        (
            "bert",
            replace(WORDS, shape=(9,)),
            r"cannot read samples of shape \(9,\)",
        ),
        ("vit", Modality("image", (2, 8, 8)), r"cannot read samples of shape \(2, 8, 8\)"),
        ("wav2vec2", Modality("vector", (5,)), r"cannot read samples of shape \(5,\)"),
    ],
)
def test_what_a_model_cannot_read_is_refused(folders, name, modality, message):
    with pytest.raises(MsamError, match=message):
        build_encoder(modality, f"hf:{folders[name]}")


def test_models_that_are_not_there_or_not_whole(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MsamError, match=r"no whole model of this name in the cache.*hf download"):
        build_encoder(WORDS, "hf:nobody/no-such-model")
    with pytest.raises(MsamError, match=r"no such folder with a config\.json"):
        build_encoder(WORDS, f"hf:{tmp_path}")
    with pytest.raises(MsamError, match="Did you mean 'mean'"):
        build_encoder(WORDS, f"hf:{folders['bert']}", pooling="men")
    deeper = tmp_path / "deeper"
    transformers.AutoModel.from_pretrained(folders["bert"]).save_pretrained(deeper)
    config = json.loads((deeper / "config.json").read_text())
    (deeper / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(MsamError, match=r"16 of its weights are not in the file.*layer\.2"):
        build_encoder(WORDS, f"hf:{deeper}")
    (deeper / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(MsamError, match="cannot be loaded"):
        build_encoder(WORDS, f"hf:{deeper}")
