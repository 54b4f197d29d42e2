"""Whose features M-SAM's shares are measured on, what is computed twice for it, and what is not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from msam_lib.contributions.coalitions import coalition_logits
from msam_lib.contributions.measure import shapley_contributions
from msam_lib.contributions.shapley import coalition_masks
from msam_lib.data import Batch
from msam_lib.methods import build_method
from msam_lib.models import MLP, MultimodalModel, build_fusion, wrap
from tests.helpers import CLASSES, make_batch, make_model, sgd

SMOOTH = {"value": "log_likelihood", "contribution": "softmax"}


def measured(model, batch, **options):
    """Shares that one step measures, and a copy of the model as its first pass left it."""
    twin, method = copy.deepcopy(model).train(), build_method("msam", **options)
    torch.manual_seed(7)
    output = copy.deepcopy(model).train()(batch.inputs)
    after = copy.deepcopy(model).train()
    torch.manual_seed(7)
    after(batch.inputs)  # its statistics have advanced once
    torch.manual_seed(7)
    method.step(twin, batch, sgd(twin))
    return method.dominance.shares, after, output


def two_mlps(fusion="late", **options):
    encoders = {m: MLP(5, 8, hidden=8) for m in ("x1", "x2")}
    return MultimodalModel(
        encoders, build_fusion(fusion, dict.fromkeys(encoders, 8), CLASSES, **options)
    )


def vectors(n=12, seed=1):
    g = torch.Generator().manual_seed(seed)
    inputs = {m: torch.randn(n, 5, generator=g) for m in ("x1", "x2")}
    return Batch(inputs, torch.randint(CLASSES, (n,), generator=g))


@pytest.mark.parametrize("fusion", ["late", "maxout", "gated"])
@pytest.mark.parametrize("m", [2, 3])
def test_each_way_measures_what_it_says(fusion, m):
    model, batch = make_model(fusion, m), make_batch(m, n=40)
    by_evaluation, after, output = measured(model, batch, **SMOOTH)
    by_training, _, _ = measured(model, batch, features="training", **SMOOTH)
    assert by_evaluation.dtype == torch.float64
    whole = shapley_contributions(after.eval(), batch.inputs, batch.targets, **SMOOTH)
    assert torch.allclose(by_evaluation, whole.weights, atol=1e-9)
    kept = {k: f.detach() for k, f in output.features.items()}
    cheap = shapley_contributions(after, batch.inputs, batch.targets, features=kept, **SMOOTH)
    assert torch.allclose(by_training, cheap.weights, atol=1e-9)
    assert not torch.allclose(by_evaluation, by_training, atol=1e-5)  # batch norm in one encoder


@pytest.mark.parametrize(("fusion", "options"), [("late", {}), ("maxout", {"hidden": (7, 5)})])
def test_an_encoder_that_is_the_same_in_both_modes_runs_once_a_pass(fusion, options, monkeypatch):
    model, batch, rows = two_mlps(fusion, **options), vectors(), []
    forward = MLP.forward

    def counted(self, x):
        rows.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(MLP, "forward", counted)
    shares, _, _ = measured(model, batch)
    assert torch.equal(shares, measured(model, batch, features="training")[0])
    rows.clear()
    build_method("msam").step(model, batch, sgd(model))
    assert rows == [12, 12] * 2  # two passes of two encoders; the absent ones' answers are biases


def test_somebody_elses_module_is_asked_again_in_evaluation_mode():
    class Noisy(MLP):
        def forward(self, x):
            return super().forward(x) + (torch.randn(()) if self.training else 0)

    model, batch = two_mlps(), vectors()
    model.encoders["x1"] = Noisy(5, 8, hidden=8)
    shares, after, _ = measured(model, batch, **SMOOTH)
    whole = shapley_contributions(after, batch.inputs, batch.targets, **SMOOTH)
    assert torch.allclose(shares, whole.weights, atol=1e-9)


def test_hooks_and_baselines_are_heard():
    model, batch, masks = two_mlps(), vectors(n=40), coalition_masks(2)
    plain, _, _ = measured(model, batch, **SMOOTH)
    elsewhere = copy.deepcopy(model)
    elsewhere.set_baseline({m: 0.5 * torch.ones(5) for m in ("x1", "x2")})
    hooked = []
    for part in ("encoders.x1", "encoders.x1.net", "encoders.x1.net.1"):
        hooked.append(copy.deepcopy(model))
        hooked[-1].get_submodule(part).register_forward_hook(
            lambda mod, args, out: out + (0.2 if mod.training else 0.1)
        )
    for changed in (elsewhere, *hooked):
        shares, after, _ = measured(changed, batch, **SMOOTH)
        whole = shapley_contributions(after, batch.inputs, batch.targets, **SMOOTH)
        assert torch.allclose(shares, whole.weights, atol=1e-9)
        assert not torch.allclose(shares, plain, atol=1e-5)
        features = changed.eval().encode(batch.inputs)
        found = coalition_logits(changed, batch.inputs, masks, features)
        assert torch.allclose(found, coalition_logits(changed, batch.inputs, masks), atol=1e-6)


@pytest.mark.parametrize("name", ["x1", "x2"])
def test_a_modality_of_zeros_has_a_share_of_exactly_zero(name):
    model, batch = two_mlps(), vectors(n=40)
    batch.inputs[name] = torch.zeros(40, 5)
    method = build_method("msam")
    method.step(model, batch, sgd(model))
    phi = dict(zip(model.modalities, method.dominance.phi.tolist(), strict=True))
    assert phi[name] == 0.0


@pytest.mark.parametrize("fusion", ["late", "maxout"])
@pytest.mark.parametrize("options", [{}, {"smoothing": 0.5}, {"ascent": "momentum"}])
def test_no_number_is_read_from_the_device_in_a_step(fusion, options, monkeypatch):
    model, method = make_model(fusion, 3), build_method("msam", **options)
    optimizer, batch = sgd(model, momentum=0.9), make_batch(3)
    for _ in range(2):
        method.step(model, batch, optimizer)

    def read(self, *args):
        raise AssertionError("read from the device")

    for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, read)
    logs = method.step(model, batch, optimizer)
    monkeypatch.undo()
    assert sum(float(v) for k, v in logs.items() if k.startswith("share/")) == pytest.approx(1)


def test_double_precision_stays_double_and_half_becomes_single():
    model, batch = two_mlps().double(), vectors()
    batch = Batch({m: x.double() for m, x in batch.inputs.items()}, batch.targets)
    method = build_method("msam")
    assert method.step(model, batch, sgd(model))["loss"].dtype == torch.float64
    for name in ("joint", "sam"):
        assert build_method(name).step(model, batch, sgd(model))["loss"].dtype == torch.float64
    output = model(batch.inputs)
    output.logits = output.logits.bfloat16()
    assert method.loss(output, batch).dtype == torch.float32


def test_a_wrapped_network_without_modes_reads_the_mixed_coalitions_only(monkeypatch):
    model, batch, rows = wrap(nn.Bilinear(5, 5, CLASSES), ["x1", "x2"], call="args"), vectors(), []
    forward = nn.Bilinear.forward

    def counted(self, a, b):
        rows.append(len(a))
        return forward(self, a, b)

    shares, after, _ = measured(model, batch)
    assert torch.equal(shares, shapley_contributions(after, batch.inputs, batch.targets).weights)
    monkeypatch.setattr(nn.Bilinear, "forward", counted)
    build_method("msam").step(model, batch, sgd(model))
    assert rows == [12, 2 * 12 + 1, 12]  # the first pass, the coalitions, the second pass
