"""Encoders with frozen parts: they do not move, whatever trains the rest."""

from __future__ import annotations

import copy

import pytest
import torch

from msam_lib.data import Modality
from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.methods import build_method
from msam_lib.models import build_encoder, build_model
from tests.helpers import buffers, make_batch, weights
from tests.test_methods import EVERY, label, model_for

SEQUENCE = Modality("sequence", (6, 5))


def trained(model, method, steps=2):
    """The model after some steps with weight decay and momentum, which move any zero gradient."""
    method.setup(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    model.train()
    for seed in range(steps):
        logs = method.step(model, make_batch(seed=seed), optimizer)
        assert torch.isfinite(torch.as_tensor(logs["loss"]))
    return model


def moved(model, before):
    return {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}


@pytest.mark.parametrize("fusion", ["late", "maxout"])
@pytest.mark.parametrize(("name", "options"), EVERY, ids=list(map(label, EVERY)))
def test_no_method_moves_frozen_lower_layers(name, options, fusion):
    model = model_for(name, options, fusion)
    for encoder in model.encoders.values():
        next(encoder.parameters()).requires_grad_(False)
    frozen = {k for k, p in model.named_parameters() if not p.requires_grad}
    before = weights(model)
    changed = moved(trained(model, build_method(name, **options)), before)
    assert len(frozen) == 2 and not changed & frozen
    assert any(k.startswith("encoders") for k in changed)
    assert {k for k, p in model.named_parameters() if not p.requires_grad} == frozen


@pytest.mark.parametrize(("name", "options"), EVERY, ids=list(map(label, EVERY)))
def test_a_wholly_frozen_encoder_stays_or_is_refused_with_advice(name, options):
    model = model_for(name, options)
    before = weights(model)
    for p in model.encoders["x1"].parameters():
        p.requires_grad_(False)
    try:
        changed = moved(trained(model, build_method(name, **options)), before)
    except UnsupportedSetting as error:
        assert "'MODALITY.trainable': 'last:1'" in str(error)
        assert name in ("msam", "masam", "cggm", "mmpareto")
        return
    assert changed and not any(k.startswith("encoders.x1") for k in changed)


@pytest.mark.parametrize("reading", ["literal", "encoder"])
def test_a_fine_tuned_resnet_keeps_its_lower_weights_and_statistics(reading):
    specs = {"x1": Modality("image", (1, 6, 6)), "x2": Modality("vector", (5,))}
    options = {"x1.trainable": "last:2"}
    model = build_model(specs, classes=3, encoder="x1=resnet18", encoder_options=options, width=2)
    before = weights(model) | buffers(model)
    trained(model, build_method("msam", reading=reading, target="x1"))
    now = weights(model) | buffers(model)
    changed = {k for k in now if not torch.equal(now[k], before[k])}
    encoder = {k.removeprefix("encoders.x1.") for k in changed if k.startswith("encoders.x1.")}
    assert {k.rsplit(".", 1)[0][:8] for k in encoder} == {"stages.6", "stages.7"}
    assert "stages.7.norm2.running_mean" in encoder  # the trained part's statistics follow
    assert any(k.startswith("encoders.x2") for k in changed)


@pytest.mark.parametrize("kind", ["transformer", "deep_transformer"])
def test_the_last_layer_of_a_transformer(kind):
    encoder = build_encoder(SEQUENCE, kind, width=4, trainable="last:1", depth=3, heads=2)
    names = {k for k, p in encoder.named_parameters() if p.requires_grad}
    top = {k for k, _ in encoder.named_parameters() if k.startswith(("layers.layers.2.", "norm."))}
    assert names == top
    assert not any(
        p.requires_grad
        for p in build_encoder(SEQUENCE, kind, width=4, trainable="none").parameters()
    )


def test_frozen_statistics_stay_through_copies_and_modes():
    encoder = build_encoder(Modality("image", (1, 8, 8)), "resnet18", width=2, trainable="last:1")
    again = copy.deepcopy(encoder).train()
    before = buffers(again)
    again(torch.randn(4, 1, 8, 8))
    changed = {k for k, v in buffers(again).items() if not torch.equal(v, before[k])}
    assert changed and all(k.startswith("stages.7.") for k in changed)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("transformer", "last:3", "has 2 blocks. N is 1 to 2"),
        ("transformer", "last:0", "N is 1 to 2"),
        ("transformer", "half", "use 'all', 'none' or 'last:N'"),
        ("mlp", "last:1", "MLP has 0 blocks. Use 'all'"),
    ],
)
def test_what_cannot_be_frozen_is_refused(kind, value, message):
    with pytest.raises(MsamError, match=message):
        build_encoder(SEQUENCE, kind, trainable=value)
