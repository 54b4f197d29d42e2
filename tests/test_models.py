"""Encoders and fusions: shapes, closed forms, and clear refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from msam_lib.data import Modality
from msam_lib.errors import MsamError
from msam_lib.models import (
    FUSIONS,
    MultimodalModel,
    RandomState,
    ResNet18,
    build_encoder,
    build_fusion,
    build_model,
    evaluating,
    frozen_statistics,
    wrap,
)
from tests.helpers import CLASSES, buffers, make_batch, make_model

SHAPES = {
    "small_cnn": Modality("image", (3, 9, 7)),
    "resnet18": Modality("spectrogram", (1, 16, 20)),
    "mlp": Modality("vector", (5,)),
    "transformer": Modality("sequence", (6, 5)),
    "deep_transformer": Modality("sequence", (6, 5)),
    "tokens": Modality("characters", (6,), vocabulary=9),
    "segments": Modality("sequence", (6, 5)),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_encoders_give_features_of_the_stated_size(kind):
    spec = SHAPES[kind]
    encoder = build_encoder(spec, kind, width=4)
    if spec.kind == "characters":
        x = torch.randint(spec.vocabulary, (3, *spec.shape))
    else:
        x = torch.randn(3, *spec.shape)
    features = encoder(x)
    assert features.shape == (3, encoder.dim)
    with evaluating(encoder):
        assert torch.isfinite(encoder(torch.zeros_like(x[:1]))).all()  # an absent modality


def test_frames_are_read_one_by_one_and_averaged():
    encoder = build_encoder(Modality("video", (4, 3, 9, 7)), "small_cnn", width=4).eval()
    x = torch.randn(2, 4, 3, 9, 7)
    each = torch.stack([encoder.encoder(frame) for frame in x.unbind(1)])
    assert torch.allclose(encoder(x), each.mean(0), atol=1e-6)


def test_resnet18_has_the_published_number_of_parameters():
    # 11,689,512 with the 1000-class layer (513,000); the stem for one channel saves 2 * 64 * 49
    assert sum(p.numel() for p in ResNet18(3).parameters()) == 11_689_512 - 513_000
    assert sum(p.numel() for p in ResNet18(1).parameters()) == 11_689_512 - 513_000 - 6_272


def test_padding_does_not_change_a_sequence():
    encoder = build_encoder(SHAPES["tokens"], width=4).eval()
    word = torch.tensor([[3, 1, 4]])
    padded = torch.tensor([[3, 1, 4, 0, 0, 0]])
    assert torch.allclose(encoder(word), encoder(padded), atol=1e-6)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusions_give_logits_for_any_number_of_modalities(fusion, m):
    model, batch = make_model(fusion, m), make_batch(m)
    out = model(batch.inputs)
    assert out.logits.shape == (12, CLASSES)
    assert set(out.features) == set(model.modalities)
    assert bool(out.unimodal) == model.fusion.additive
    if out.unimodal:
        assert torch.allclose(sum(out.unimodal.values()), out.logits, atol=1e-6)
        assert torch.allclose(model.fusion(out.features), out.logits, atol=1e-6)
    model = make_model(fusion, m, unimodal_heads=True)
    assert set(model(batch.inputs).unimodal) == set(model.modalities)


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_blocks_hold_every_parameter_once(fusion, m):
    model = make_model(fusion, m, unimodal_heads=fusion == "maxout")
    blocks = model.blocks()
    assert list(blocks) == [*model.modalities, "fusion"]
    names = [name for block in blocks.values() for name in block]
    assert sorted(names) == sorted(k for k, _ in model.named_parameters())
    for name in model.modalities:
        assert [id(p) for p in blocks[name].values()] == [id(p) for p in model.parameters_of(name)]


def test_film_with_two_modalities_by_hand():
    fusion = build_fusion("film", {"a": 2, "b": 3}, 4, hidden=5, anchor="a")
    h = {"a": torch.randn(6, 2), "b": torch.randn(6, 3)}
    gamma, beta = fusion.film["b"](h["b"]).chunk(2, dim=1)
    expected = fusion.out(torch.relu((1 + gamma) * fusion.project["a"](h["a"]) + beta))
    assert torch.allclose(fusion(h), expected, atol=1e-6)


def test_maxout_layer_takes_the_largest_piece():
    layer = build_fusion("maxout", {"a": 3}, 2, hidden=(4, 3)).net[1]
    x = torch.randn(5, 3)
    pieces = layer.linear(x)
    assert torch.equal(layer(x), torch.maximum(pieces[:, 0::2], pieces[:, 1::2]))


def test_frozen_statistics_move_nothing_and_use_the_batch():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    x = 5 + 2 * torch.randn(8, 3)
    expected = nn.functional.batch_norm(x, None, None, net[0].weight, net[0].bias, training=True)
    before = buffers(net)
    with frozen_statistics(net), frozen_statistics(net):
        assert torch.allclose(net[0](x), expected)
    assert all(torch.equal(v, before[k]) for k, v in buffers(net).items())
    net(x)
    assert int(net[0].num_batches_tracked) == 1
    assert not torch.equal(net[0].running_mean, before["0.running_mean"])


def test_evaluating_gives_every_module_its_mode_back():
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).train()
    net[1].eval()
    with evaluating(net):
        assert not net[0].training
    assert (net[0].training, net[1].training) == (True, False)


def test_random_state_replays_dropout():
    net = nn.Dropout(0.5)
    state, x = RandomState(net, torch.device("cpu")), torch.ones(64)
    first, second = net(x), net(x)
    with state.replay():
        assert torch.equal(net(x), first)
    assert not torch.equal(first, second)


def test_random_state_replays_attention_and_leaves_the_runs_numbers_alone():
    layer, x = nn.MultiheadAttention(8, 2, dropout=0.5), torch.randn(5, 1, 8)
    state = RandomState(layer, torch.device("cpu"))
    first = layer(x, x, x)[0]
    torch.rand(3)  # the run draws on
    before = torch.get_rng_state()
    with state.replay():
        assert torch.equal(layer(x, x, x)[0], first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(layer(x, x, x)[0], first)


@pytest.mark.parametrize("name", ["fusion", "a.b", "items", ""])
def test_modality_names_that_cannot_be_used_are_refused(name):
    encoder = build_encoder(SHAPES["mlp"], width=1)
    with pytest.raises(MsamError, match="can't be used"):
        MultimodalModel({name: encoder}, build_fusion("late", {name: 4}, 2))


def test_refusals_name_what_was_given():
    with pytest.raises(MsamError, match="Did you mean 'maxout'"):
        build_fusion("max_out", {"a": 1}, 2)
    with pytest.raises(MsamError, match="Did you mean 'resnet18'"):
        build_encoder(SHAPES["mlp"], "resnet")
    with pytest.raises(MsamError, match=r"has shape \(5,\)"):
        build_encoder(SHAPES["mlp"], "resnet18")
    with pytest.raises(MsamError, match=r"also needs \['x2'\]"):
        make_model()({"x1": torch.zeros(2, 1, 6, 6)})
    with pytest.raises(MsamError, match="classes=None"):
        build_model(SHAPES)
    with pytest.raises(MsamError, match=r"wrap\(model, modalities, encoders"):
        wrap(nn.Linear(1, 1), ["a"]).parameters_of("a")
    with pytest.raises(MsamError, match="Did you mean 'kwargs'"):
        wrap(nn.Linear(1, 1), ["a"], call="kwarg")
