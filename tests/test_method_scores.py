"""Whatever a method reads as what a modality says on its own has to say something: it beats chance
on a trained model, and no head that nothing trains decides anything.
"""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import nn

from msam_lib.contributions import coalition_masks
from msam_lib.data import Batch, BatchLoader, load_dataset
from msam_lib.errors import UnsupportedSetting
from msam_lib.experiments.cases import needs_heads
from msam_lib.labels import Case
from msam_lib.methods import METHODS, build_method
from msam_lib.methods._scores import mono_modal
from msam_lib.models import FUSIONS, build_model, wrap
from msam_lib.models.contexts import evaluating
from tests.helpers import make_batch, make_model, sgd, weights

EARLY = [f for f in FUSIONS if f not in ("late", "concat")]
# Methods that read per-modality logits show them in `scores(model, output, batch)`.
READERS = [n for n in METHODS if hasattr(METHODS[n], "scores")]
SMALL = {"n_train": 600, "n_val": 200, "n_test": 10, "n_classes": 4}
CHANCE = 0.25


@cache
def data_of(m):
    return load_dataset("synthetic", snr=(4.0,) * m, n_modalities=m, **SMALL)


@cache
def trained(name, fusion, m, heads):
    """A model after sixty steps of a method."""
    torch.manual_seed(0)
    small = {"hidden": (32, 16)} if fusion == "maxout" else {}
    model = build_model(data_of(m), fusion, width=8, unimodal_heads=heads, **small)
    rule, optimizer = build_method(name), sgd(model, 0.05, 0.9)
    loader = BatchLoader(data_of(m).train, 50, shuffle=True)
    for epoch in range(5):
        loader.set_epoch(epoch)
        for batch in loader:
            rule.step(model, batch, optimizer)
    return model


def test_the_methods_that_read_scores_are_known():
    assert {"ogm_ge", "mses", "mslr", "miles"} <= set(READERS)


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(
    ("name", "options"), [*((n, {}) for n in READERS), ("miles", {"gamma": 0.0})]
)
def test_what_a_method_reads_beats_chance_on_a_trained_model(name, options, fusion, m, heads):
    rule = build_method(name, **options)
    own_loss = "unimodal_logits" in rule.needs()  # then it trains what it reads, else joint does
    heads = heads or (own_loss and fusion in EARLY)
    model = trained(name if own_loss else "joint", fusion, m, heads)
    rule.setup(model)
    batch = Batch(data_of(m).val.inputs, data_of(m).val.targets)
    for training in (True, False):
        with torch.no_grad():
            output = model.train(training)(batch.inputs)
        found = rule.scores(model, output, batch)
        assert list(found) == list(model.modalities)
        for k, z in found.items():
            right = float((z.argmax(1) == batch.targets).double().mean())
            assert right > 2.2 * CHANCE, (k, training, right)


def test_these_methods_work_with_any_fusion_without_heads():
    for name in ("ogm_ge", "mses", "mslr"):
        for fusion in FUSIONS:
            build_method(name).setup(make_model(fusion))
            assert not needs_heads(Case(name, {}), fusion)
    build_method("miles", gamma=0.0).setup(make_model("maxout"))
    assert needs_heads(Case("miles", {}), "maxout")
    with pytest.raises(UnsupportedSetting, match="unimodal_heads=True"):
        build_method("miles").setup(make_model("maxout"))


@pytest.mark.parametrize("fusion", EARLY)
@pytest.mark.parametrize("name", METHODS)
def test_heads_that_decide_something_are_trained(name, fusion):
    """Two models that differ in the heads beside the fusion: where they part, heads learn."""
    cls = METHODS[name]
    if cls.fusions and fusion not in cls.fusions:
        pytest.skip(f"works with {cls.fusions} only")
    model = make_model(fusion, unimodal_heads=True)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for p in other.heads.parameters():
            p.add_(torch.randn_like(p))
    before = weights(model.heads)
    for net in (model, other):
        rule, optimizer = build_method(name), sgd(net, 0.1)
        torch.manual_seed(7)
        for seed in range(3):
            rule.step(net, make_batch(seed=seed), optimizer)
    same = dict(other.named_parameters())
    parted = any(
        not torch.equal(p, same[k])
        for k, p in model.named_parameters()
        if not k.startswith("heads.")
    )
    if parted:
        assert not any(torch.equal(p, before[k]) for k, p in model.heads.named_parameters())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_two_responses_by_hand(fusion):
    model, batch = make_model(fusion), make_batch()
    with evaluating(model):
        output = model(batch.inputs)
        one, two = (model(batch.inputs, present=[m]).logits for m in ("x1", "x2"))
        found = mono_modal(model, output, batch.inputs)
    whole = output.logits
    expected = torch.stack([(whole - two + one) / 2, (whole - one + two) / 2])
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(found.sum(0), whole, atol=1e-5)


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_responses_add_up_to_the_logits_with_and_without_gradient(fusion, m, gradient):
    model, batch = make_model(fusion, m), make_batch(m)
    output = model(batch.inputs)
    found = mono_modal(model, output, batch.inputs, gradient=gradient)
    assert found.shape == (m, *output.logits.shape)
    assert found.requires_grad == gradient
    assert torch.allclose(found.sum(0), output.logits, atol=1e-5)
    other = mono_modal(model, output, batch.inputs, gradient=not gradient)
    assert torch.allclose(found, other, atol=1e-6)


class Net(nn.Module):
    """Somebody's own module, with a batch norm in one encoder."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(36, 4), nn.BatchNorm1d(4, affine=False))
        self.b = nn.Linear(5, 4)
        self.out = nn.Linear(8, 3)

    def forward(self, x1, x2):
        return self.out(torch.relu(torch.cat([self.a(x1.flatten(1)), self.b(x2)], dim=1)))


def wrapped():
    net = Net()
    return wrap(net, ["x1", "x2"], call="kwargs", encoders={"x1": net.a, "x2": net.b})


def test_responses_of_a_wrapped_model_go_through_whole_forward_passes():
    model, batch = wrapped(), make_batch()
    model(batch.inputs)  # the statistics are not those of the beginning
    with evaluating(model):
        output = model(batch.inputs)
        one, two = (model(batch.inputs, present=[m]).logits for m in ("x1", "x2"))
    found = mono_modal(model, output, batch.inputs)
    assert torch.allclose(found[0], (output.logits - two + one) / 2, atol=1e-6)
    assert len(coalition_masks(2)[1:-1]) == 2 and not found.requires_grad


def test_a_wrapped_encoder_gets_weights_and_statistics_back():
    from msam_lib.methods.mses import _tensors

    model = wrapped()
    kept = {id(t) for t in _tensors(model, "x1")}
    net = model.module
    assert kept == {id(t) for t in [*net.a.parameters(), *net.a.buffers()]}
    assert {id(t) for t in _tensors(model, "x2")} == {id(p) for p in net.b.parameters()}
