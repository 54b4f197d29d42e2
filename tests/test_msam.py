"""M-SAM's own equations: its limits, its mixture, a quadratic, and the naive algorithm as
printed.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from benchmarks.naive_msam import NaiveMSAM
from msam_lib.data import Batch
from msam_lib.methods import build_method
from msam_lib.models import Output, wrap
from tests.gradients import applied, gradient, moved, scaled
from tests.helpers import distance, make_batch, make_model, sgd, steps, two_cnns

FUSIONS = ("late", "concat", "maxout", "gated")
over_settings = pytest.mark.parametrize(
    ("fusion", "m"), [(f, m) for f in FUSIONS for m in (2, 3)], ids=lambda v: str(v)
)


@over_settings
def test_all_the_weight_on_one_modality_is_sam(fusion, m):
    model, batches = make_model(fusion, m), [make_batch(m, seed=s) for s in (1, 2)]
    sam = steps(model, build_method("sam", rho=0.1), batches)
    assert distance(steps(model, build_method("msam", rho=0.1, mixing=1.0), batches), sam) < 1e-6


def test_a_useless_second_modality_gives_v_one_and_sam():
    model, batch = make_model("late", 2), make_batch(2, n=200)
    learnt = batch._replace(targets=(batch.inputs["x1"].mean((1, 2, 3)) > 0).long())
    trained = steps(model, build_method("joint"), [learnt] * 30)
    with torch.no_grad():
        for p in trained.fusion.heads["x2"].parameters():
            p.zero_()
    twin = copy.deepcopy(trained)
    logs = build_method("msam", rho=0.1).step(twin, learnt, sgd(twin))
    assert (logs["share/x1"], logs["share/x2"]) == (1.0, 0.0)
    assert distance(twin, steps(trained, build_method("sam", rho=0.1), [learnt])) == 0.0


@over_settings
def test_literal_is_the_mixture_of_two_gradients(fusion, m):
    model, batch, rho = make_model(fusion, m), make_batch(m, n=40), 0.2
    method = build_method("msam", rho=rho)
    twin = copy.deepcopy(model)
    torch.manual_seed(7)
    logs = method.step(twin, batch, sgd(twin, 0.1))
    v = max(float(logs[f"share/{k}"]) for k in model.modalities)
    g = gradient(model, batch)
    perturbed_grads = gradient(moved(model, scaled(g, rho)), batch)
    mixed = {k: (1 - v) * g[k] + v * perturbed_grads[k] for k in g}
    assert distance(twin, applied(model, mixed)) < 1e-6
    assert distance(twin, applied(model, g)) > 1e-6


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("fusion", ["late", "maxout"])
def test_agrees_with_the_algorithm_written_naively(fusion, m):
    model = make_model(fusion, m, dropout=0.0)
    for (
        part
    ) in model.modules():  # batch statistics in both, so that the cached features are the same
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
    batches = [make_batch(m, n=40, seed=s) for s in (1, 2, 3)]
    if fusion == "late":
        model = _without_norm(model)
        naive = steps(model, NaiveMSAM(rho=0.1), batches)
        assert distance(steps(model, build_method("msam", rho=0.1), batches), naive) < 1e-6
    else:  # v differs (a batch of zeros has no variance); with v fixed the steps agree
        naive = NaiveMSAM(rho=0.1)
        naive.shares = lambda model, batch: torch.full((m,), 0.5)
        expected = steps(model, naive, batches)
        assert (
            distance(steps(model, build_method("msam", rho=0.1, mixing=0.5), batches), expected)
            < 1e-6
        )


def _without_norm(model):
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(parent, name, nn.Identity())
    return model


class Quadratic(nn.Module):
    """A loss 1/2 theta^T H theta dressed up as a model: two logits whose cross-entropy is not
    used.
    """

    def __init__(self, n=6):
        super().__init__()
        a = torch.randn(n, n, dtype=torch.float64)
        self.hessian = a @ a.T + torch.eye(n, dtype=torch.float64)
        self.theta = nn.Parameter(torch.randn(n, dtype=torch.float64))

    def forward(self, inputs):
        return Output(torch.stack([inputs["x1"], inputs["x2"]], dim=1) + 0 * self.theta.sum())

    def value(self):
        return 0.5 * self.theta @ self.hessian @ self.theta


@pytest.mark.parametrize("rho", [0.0, 0.3, 5.0])
def test_on_a_quadratic_it_is_sam_with_radius_rho_times_v(rho):
    net = Quadratic()
    model = wrap(net, ["x1", "x2"])
    x1 = torch.tensor([-1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    x2 = torch.tensor([1.0, -0.5, -0.5, -2.0], dtype=torch.float64)
    batch = Batch({"x1": x1, "x2": x2}, torch.ones(4, dtype=torch.long))  # Phi = 0, 3/4, 1/4, 3/4

    def step(method):
        twin = copy.deepcopy(model)
        method.loss = lambda output, batch: twin.module.value() + 0 * output.logits.sum()
        logs = method.step(twin, batch, sgd(twin))
        return twin.module.theta.detach(), logs

    theta, logs = step(build_method("msam", rho=rho))
    v = max(float(logs["share/x1"]), float(logs["share/x2"]))
    assert v == pytest.approx(5 / 6)
    sam, _ = step(build_method("sam", rho=rho * v))
    assert torch.allclose(theta, sam, atol=1e-6)  # the shares are single precision
    assert rho == 0 or not torch.allclose(theta, step(build_method("sam", rho=rho))[0], atol=1e-3)


def test_which_modality_is_dominant_does_not_change_the_literal_step():
    model, batch = two_cnns(), make_batch(1, n=30)
    batch = Batch({"x1": batch.inputs["x1"], "x2": torch.randn(30, 1, 6, 6)}, batch.targets)
    swapped = copy.deepcopy(model)
    for part in (swapped.encoders, swapped.fusion.heads):
        part["x1"], part["x2"] = part["x2"], part["x1"]
    a = steps(model, build_method("msam"), [batch])
    b = steps(
        swapped,
        build_method("msam"),
        [Batch(dict(zip(("x2", "x1"), batch.inputs.values(), strict=True)), batch.targets)],
    )
    for m, other in (("x1", "x2"), ("x2", "x1")):
        pairs = zip(a.encoders[m].parameters(), b.encoders[other].parameters(), strict=True)
        assert all(torch.allclose(p, q, atol=1e-6) for p, q in pairs)
