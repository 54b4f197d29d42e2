"""Encoders by modality: modules handed over, kinds and options by name, and AVE's segments."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from msam_lib.data import Batch, Modality
from msam_lib.errors import MsamError
from msam_lib.experiments import Experiment
from msam_lib.experiments.build import untrained_model
from msam_lib.methods import build_method
from msam_lib.models import SegmentEncoder, TokenEncoder, build_encoder, build_model
from tests.helpers import SPECS, make_batch, sgd, weights

TWO = {"x1": SPECS["x1"], "x2": SPECS["x2"]}


class Foreign(nn.Module):
    """Somebody's network, with a batch norm that must not be advanced by finding the size."""

    def __init__(self, features=7):
        super().__init__()
        norm = nn.BatchNorm2d(features)
        self.net = nn.Sequential(nn.Conv2d(1, features, 3, bias=False), norm, nn.Dropout(0.5))

    def forward(self, x):
        return self.net(x).mean(dim=(2, 3))


@pytest.mark.parametrize("options", [{}, {"reading": "encoder"}])
def test_a_module_handed_over_is_that_modalitys_encoder(options):
    own = Foreign()
    model = build_model(TWO, classes=3, encoders={"x1": own}, width=2)
    assert model.fusion.dims == {"x1": 7, "x2": 8}
    assert model.encoders["x1"] is own and own.training and own.net[2].training
    assert int(own.net[1].num_batches_tracked) == 0
    assert [id(p) for p in model.parameters_of("x1")] == [id(p) for p in own.parameters()]
    before = weights(own)
    method = build_method("msam", target="x1" if options else "dominant", **options)
    logs = method.step(model, make_batch(), sgd(model))
    assert torch.isfinite(logs["loss"])
    assert all(not torch.equal(p, before[k]) for k, p in own.named_parameters())


def test_tokens_are_handed_over_as_integers():
    class Words(nn.Embedding):
        def forward(self, x):
            return super().forward(x).mean(1)  # an embedding refuses anything but integers

    spec = {"words": Modality("characters", (4,), vocabulary=9)}
    model = build_model(spec, classes=2, encoders={"words": Words(9, 5)})
    assert model.fusion.dims == {"words": 5}


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({"x1": nn.Conv2d(1, 4, 3)}, r"to shape \(2, 4, 4, 4\).*num_classes=0"),
        ({"x1": nn.Linear(9, 2)}, r"cannot read a batch of shape \(2, 1, 6, 6\)"),
        ({"x1": nn.LSTM(6, 2)}, "cannot read"),
        ({"x4": nn.Identity()}, "Unknown modality 'x4'"),
        (dict.fromkeys(["x1", "x2"], nn.Flatten()), "one module stands for several"),
    ],
)
def test_modules_that_do_not_fit_are_refused(encoders, message):
    with pytest.raises(MsamError, match=message):
        build_model(TWO, classes=3, encoders=encoders)


def test_kinds_and_options_by_modality():
    specs = {"text": Modality("characters", (5,), vocabulary=9), "sound": SPECS["x3"]}
    options = {"depth": 3, "text.depth": 2, "heads": 2, "sound.trainable": "last:1"}
    model = build_model(
        specs, classes=2, encoder="sound=deep_transformer", encoder_options=options, width=2
    )
    text, sound = model.encoders["text"], model.encoders["sound"]
    assert isinstance(text, TokenEncoder)
    assert (len(text.blocks()), len(sound.blocks()), sound.dim) == (2, 3, 16)
    assert all(p.requires_grad for p in text.parameters())
    assert not sound.embed.weight.requires_grad


def test_the_paper_transformer_of_ur_funny():
    options = {"dim": 768, "heads": 4, "depth": 8}
    with torch.device("meta"):
        encoder = build_encoder(Modality("sequence", (50, 371)), "transformer", **options)
    heads = [block.self_attn.num_heads for block in encoder.blocks()]
    assert encoder.dim == 768 and heads == [4] * 8


@pytest.mark.parametrize(
    ("encoder", "options", "message"),
    [
        ("x9=mlp", {}, "Unknown modality 'x9'"),
        ("mlp", {"x9.depth": 2}, "Unknown modality 'x9'"),
        ("mlp", {"weights": "a.pt"}, r"'mlp' has no option 'weights'; it has dim, hidden, depth"),
        ("x2=resnet", {}, "Did you mean 'resnet18'"),
        ("x1=hf:", {}, "Unknown encoder 'x1=hf:'.*hf:NAME"),
        ("x1=mlp:a", {}, "Unknown encoder 'x1=mlp:a'"),
    ],
)
def test_names_that_are_not_there_are_refused(encoder, options, message):
    with pytest.raises(MsamError, match=message):
        build_model(TWO, classes=3, encoder=encoder, encoder_options=options)
    with pytest.raises(MsamError, match="heads=3; it must divide"):
        build_encoder(SPECS["x3"], "transformer", heads=3)


def test_an_experiment_has_encoder_options_and_old_runs_keep_their_names():
    from msam_lib.data import load_dataset

    data = load_dataset("digits")
    plain = Experiment()
    assert "encoder_options" not in plain.identity()
    e = plain.replace(encoder="audio=resnet18", encoder_options={"audio.trainable": "last:1"})
    assert e.name != plain.replace(encoder="audio=resnet18").name
    assert Experiment.from_dict(e.config()).name == e.name
    model = untrained_model(e.replace(width=2), data)
    assert sum(not p.requires_grad for p in model.parameters_of("audio")) > 10


# --- AVE ------------------------------------------------------------------------------------------


def test_segments_have_the_published_sizes():
    audio = build_encoder(Modality("sequence", (10, 128)), "segments", width=64)
    visual = build_encoder(Modality("video", (10, 512, 7, 7)), "segments", width=64)
    assert audio.dim == visual.dim == 256
    lstm = 2 * 4 * (128 * 128 * 2 + 128 * 2)
    assert sum(p.numel() for p in audio.parameters()) == 128 * 256 + 256 * 128 + lstm
    attention = 512 * 512 + 512 + 512 * 49 + 49
    embed = 512 * 256 + 256 * 128
    assert sum(p.numel() for p in visual.parameters()) == attention + embed + lstm


def test_attention_by_hand_and_over_places():
    encoder = SegmentEncoder(6, 4, hidden=3)
    x = torch.randn(2, 5, 6, 2, 2)
    v = x.flatten(3).transpose(2, 3)  # (N, T, 4, 6)
    a, _, b, _, w = encoder.attention
    z = torch.tanh(torch.relu(v @ a.weight.T + a.bias) @ b.weight.T) @ w.weight.T
    alpha = torch.exp(z) / torch.exp(z).sum(2, keepdim=True)
    pooled = (alpha * v).sum(2)
    embedded = pooled @ encoder.embed[0].weight.T @ encoder.embed[1].weight.T
    expected = encoder.lstm(embedded)[0].mean(1)
    assert torch.allclose(encoder(x), expected, atol=1e-6)
    mixed = x.flatten(3)[..., [2, 0, 3, 1]].view_as(x)  # the places have no order
    assert torch.allclose(encoder(mixed), expected, atol=1e-6)
    turned = encoder(x.flip(1))  # the segments have one, though both directions are read
    assert not torch.allclose(turned, expected, atol=1e-4)


def test_features_of_every_segment_are_those_whose_mean_is_one_feature():
    spec = Modality("sequence", (5, 6))
    each = build_encoder(spec, "segments", width=2, segments=5)
    one = build_encoder(spec, "segments", width=2)
    one.load_state_dict(each.state_dict())
    x = torch.randn(3, 5, 6)
    features = each(x)
    assert features.shape == (3, each.dim) == (3, 5 * one.dim)
    parts = features.view(3, 5, one.dim)
    assert torch.allclose(parts.mean(1), one(x), atol=1e-6)
    assert torch.allclose(parts, each.lstm(each.embed(x))[0], atol=1e-6)


@pytest.mark.parametrize("method", [("joint", {}), ("msam", {"reading": "encoder"}), ("agm", {})])
def test_segments_are_trained_by_methods(method):
    torch.manual_seed(0)
    specs = {"a": Modality("sequence", (5, 8)), "v": Modality("video", (5, 6, 2, 2))}
    model = build_model(specs, classes=3, encoder="segments", width=4)
    before = weights(model)
    inputs = {m: torch.randn(12, *s.shape) for m, s in specs.items()}
    batch = Batch(inputs, torch.randint(3, (12,)))
    optimizer = sgd(model, 0.5)
    losses = [
        float(build_method(method[0], **method[1]).step(model, batch, optimizer)["loss"])
        for _ in range(30)
    ]
    assert losses[-1] < 0.9 * losses[0]
    assert all(not torch.equal(p, before[k]) for k, p in model.named_parameters())
