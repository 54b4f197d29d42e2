"""Sharpness against closed forms and brute force, and what rescaling a network does to it."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from msam_lib import diagnostics as d
from msam_lib.data import Batch, MultimodalDataset
from msam_lib.diagnostics.sharpness._loss import DisplacedLoss
from msam_lib.diagnostics.sharpness.keskar import _matrix
from msam_lib.errors import MsamError
from msam_lib.models import MLP, MultimodalModel, build_fusion, wrap
from msam_lib.results.sharpness import correlate_with_gap
from tests.diagnostics.tools import BOWL, EMPTY, Bowl, random_symmetric
from tests.helpers import make_batch, make_model

EPS = 1e-3


def brute(h, x, gradient, floor):
    """max over the corners of gᵀz + zᵀHz/2, the box's exact maximum for a convex function."""
    b = EPS * (x.abs() + 1)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=len(x))), dtype=torch.float64)
    z = signs * b
    return float((z @ gradient + 0.5 * ((z @ h) * z).sum(1)).max())


def keskar(bowl, **options):
    return d.keskar_sharpness(bowl, EMPTY, sampling=BOWL, epsilon=EPS, progress=False, **options)


@pytest.mark.parametrize("p", [1, 7, 500])
def test_separable_quadratic_at_its_minimum(p):
    """Q = 50 ε² Σ h_i (|x_i| + 1)² / (1 + f)."""
    g = torch.Generator().manual_seed(p)
    h = torch.rand(p, generator=g, dtype=torch.float64) * 5 + 0.1
    x = torch.randn(max(p, 2), generator=g, dtype=torch.float64)[:p]
    x = torch.cat([x, x]) if p == 1 else x  # a block each
    h = torch.cat([h, h]) if p == 1 else h
    for floor in (0.0, 0.7, 1e-9):
        bowl = Bowl(torch.diag(h), x, centre=x, floor=floor)
        truth = 50 * EPS**2 * float((h * (x.abs() + 1) ** 2).sum()) / (1 + floor)
        assert keskar(bowl).value == pytest.approx(truth, rel=1e-5)
        half = len(x) // 2
        part = 50 * EPS**2 * float((h * (x.abs() + 1) ** 2)[:half].sum()) / (1 + floor)
        assert keskar(bowl, block="a").value == pytest.approx(part, rel=1e-5)


def test_very_flat_and_very_sharp_minima():
    x = torch.randn(20, dtype=torch.float64)
    for scale in (1e-9, 1.0, 1e9):
        bowl = Bowl(scale * torch.eye(20, dtype=torch.float64), x, centre=x, floor=1.0)
        truth = 50 * EPS**2 * scale * float(((x.abs() + 1) ** 2).sum()) / 2
        # 1e-9: the rise is 1e-14, and the last digits of 1 + 1e-14 are rounding
        assert keskar(bowl).value == pytest.approx(truth, rel=1e-5 if scale > 1e-6 else 0.2)


@pytest.mark.parametrize("seed", range(6))
def test_against_all_corners_of_the_box(seed):
    p = 12
    h = random_symmetric(p, seed, positive=True)
    x = torch.randn(p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    at_minimum = Bowl(h, x, centre=x, floor=0.3)
    truth = brute(h, x, torch.zeros(p, dtype=torch.float64), 0.3)
    assert keskar(at_minimum, starts=12).value == pytest.approx(100 * truth / 1.3, rel=1e-5)
    off = Bowl(h, x, floor=0.3)
    f = float(Bowl.loss(off, None).detach())
    assert keskar(off).value == pytest.approx(100 * brute(h, x, h @ x, 0) / (1 + f), rel=1e-5)


def test_rank_one_hessian():
    """H = c cᵀ at the minimum: Q = 50 (Σ |c_i| b_i)² / (1 + f)."""
    c, x = torch.randn(30, dtype=torch.float64), torch.randn(30, dtype=torch.float64)
    truth = 50 * float((c.abs() * EPS * (x.abs() + 1)).sum()) ** 2
    assert keskar(Bowl(torch.outer(c, c), x, centre=x)).value == pytest.approx(truth, rel=1e-5)


def test_random_subspace_with_orthonormal_columns():
    """H = c I: f(x + Az) − f = c ‖z‖²/2, so Q = 50 c ε² Σ (|(Aᵀx)_i| + 1)²."""
    x = torch.randn(60, dtype=torch.float64)
    bowl = Bowl(3 * torch.eye(60, dtype=torch.float64), x, centre=x)
    a = _matrix(DisplacedLoss(bowl, EMPTY, sampling=BOWL), 10, 4)
    torch.testing.assert_close(a.T @ a, torch.eye(10, dtype=torch.float64))
    found = keskar(bowl, subspace=10, seed=4)
    truth = 150 * EPS**2 * float(((a.T @ x).abs() + 1).square().sum())
    assert found.value == pytest.approx(truth, rel=1e-5)
    assert found.convention == "orthonormal columns"
    assert keskar(bowl, subspace=10, seed=5).value != found.value


def test_ascent_sharpness_of_bowls():
    h = random_symmetric(10, positive=True)
    x = torch.randn(10, dtype=torch.float64)
    bowl = Bowl(h, x)
    g, rho = h @ x, 0.05
    delta = rho * g / g.norm()
    first = d.ascent_sharpness(bowl, EMPTY, rho=rho, steps=1, sampling=BOWL)
    assert (
        first.value == first.first_order == pytest.approx(float(g @ delta + delta @ h @ delta / 2))
    )
    # At the minimum the ball's maximum is λ_max ρ²/2; there is no gradient to start along, so stand
    # beside it.
    top = float(torch.linalg.eigvalsh(h)[-1])
    near = Bowl(h, x + 1e-6 * torch.randn(10, dtype=torch.float64), centre=x)
    many = d.ascent_sharpness(near, EMPTY, rho=rho, steps=60, sampling=BOWL)
    assert many.value == pytest.approx(top * rho**2 / 2, rel=1e-3)
    scaled = d.ascent_sharpness(bowl, EMPTY, rho=rho, steps=1, adaptive=True, sampling=BOWL)
    delta = rho * x**2 * g / (x * g).norm()
    assert scaled.value == pytest.approx(float(g @ delta + delta @ h @ delta / 2))
    assert d.ascent_sharpness(bowl, EMPTY, rho=0.0, sampling=BOWL).value == 0


def test_average_sharpness_is_half_the_trace_times_the_variance():
    h = random_symmetric(10)
    x = torch.randn(10, dtype=torch.float64)
    bowl = Bowl(h, x)
    found = d.average_sharpness(bowl, EMPTY, sigma=0.1, draws=3000, sampling=BOWL)
    truth = 0.005 * float(h.trace())
    assert abs(found.value - truth) < 4 * found.std_error
    variance = 0.5 * 0.01**2 * float(h.square().sum())  # of δᵀHδ/2 for Gaussian δ
    assert found.std_error == pytest.approx(np.sqrt(variance / 3000), rel=0.1)
    scaled = d.average_sharpness(bowl, EMPTY, sigma=0.1, draws=3000, adaptive=True, sampling=BOWL)
    assert abs(scaled.value - 0.005 * float((h.diagonal() * x**2).sum())) < 4 * scaled.std_error


def test_rescaling_a_relu_network():
    """Same function, other weights: Q changes, adaptive sharpness does not."""
    torch.manual_seed(2)
    encoders = {m: MLP(4, 3, hidden=5) for m in ("x1", "x2")}
    model = MultimodalModel(encoders, build_fusion("late", {"x1": 3, "x2": 3}, 3)).double()
    x = {m: torch.randn(30, 4, dtype=torch.float64) for m in encoders}
    batch = Batch(x, torch.randint(3, (30,)))
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        first, second = scaled.encoders["x1"].net[0], scaled.encoders["x1"].net[2]
        for p in (first.weight, first.bias):
            p.mul_(8.0)
        second.weight.div_(8.0)
        torch.testing.assert_close(model(x).logits, scaled(x).logits)
    plain = [d.keskar_sharpness(m, batch, "x1").value for m in (model, scaled)]
    assert max(plain) > 1.2 * min(plain)
    sam = [d.ascent_sharpness(m, batch, "x1").value for m in (model, scaled)]
    assert max(sam) > 1.2 * min(sam)
    adaptive = [d.ascent_sharpness(m, batch, adaptive=True, rho=0.3).value for m in (model, scaled)]
    assert adaptive[0] == pytest.approx(adaptive[1], rel=1e-9)
    mean = [d.average_sharpness(m, batch, adaptive=True, sigma=0.1).value for m in (model, scaled)]
    assert mean[0] == pytest.approx(mean[1], rel=1e-9)


@pytest.mark.parametrize("m", [2, 3])
def test_every_measure_for_every_block(m):
    rows = d.sharpness_table(make_model("late", m), make_batch(m, 12), draws=3, progress=False)
    blocks = [f"x{i + 1}" for i in range(m)] + ["fusion", "all"]
    assert {(r["block"], r["measure"]) for r in rows} == set(
        itertools.product(blocks, ["keskar", "sam", "sam_ascent", "adaptive", "average"])
    )
    q = {r["block"]: r["value"] for r in rows if r["measure"] == "keskar"}
    assert q["all"] > max(q[b] for b in blocks[:-1])


def test_kendall_tau_and_its_interval():
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    y = np.round(x + rng.normal(size=40), 1)
    found = d.kendall_tau(x, y)
    assert found.tau == pytest.approx(kendalltau(x, y).statistic)
    assert found.low < found.tau < found.high
    # coverage of the interval's width: a slow, plain bootstrap
    taus = []
    for _ in range(300):
        i = rng.integers(40, size=40)
        taus.append(kendalltau(x[i], y[i]).statistic)
    low, high = np.percentile(taus, [2.5, 97.5])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.06), pytest.approx(high, abs=0.06))
    assert d.kendall_tau([1, 2, 3, np.nan], [1, 2, 3, 4]).runs == 3
    assert np.isnan(d.kendall_tau([1, 1, 1], [1, 2, 3]).tau)
    table = correlate_with_gap({"up": [1, 2, 3], "down": [3, 2, 1]}, [1, 2, 3])
    assert (table["up"].tau, table["down"].tau) == (1, -1)
    for wrong in (([1, 2], [1, 2]), ([1, 2, 3], [1, 2])):
        with pytest.raises(MsamError):
            d.kendall_tau(*wrong)


def test_resamples_of_a_perfect_order_are_perfect():
    found = d.kendall_tau([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 7])
    assert (found.low, found.tau, found.high) == pytest.approx((1, 1, 1))  # ties with itself cancel


def test_the_gap_is_relative_to_training():
    assert d.normalised_gap(0.8, 0.6) == pytest.approx(25)
    right, wrong = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1, 1, 0])
    net = torch.nn.Bilinear(1, 1, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([-1.0, 1.0]).view(2, 1, 1)), net.bias.zero_()
    model = wrap(net, ["x1", "x2"], call="args")
    inputs = {"x1": 2.0 * right[:, None] - 1, "x2": torch.ones(4, 1)}
    splits = [MultimodalDataset(inputs, targets) for targets in (right, wrong)]
    assert d.generalization_gap(model, *splits)["fused"] == pytest.approx(50)  # 1 and 1/2


def test_gap_per_modality():
    batch = make_batch(2, 40)
    train, test = (
        MultimodalDataset({m: x[i] for m, x in batch.inputs.items()}, batch.targets[i])
        for i in (slice(20), slice(20, 40))
    )
    model = make_model("late", 2)
    gap = d.generalization_gap(model, train, test)
    assert set(gap) == {"fused", "x1", "x2"}
    model.eval()
    with torch.no_grad():
        a, b = (
            (model(s.inputs).logits.argmax(1) == s.targets).double().mean() for s in (train, test)
        )
    assert gap["fused"] == pytest.approx(float(100 * (a - b) / a))
    assert np.isnan(d.normalised_gap(0.0, 0.5))
    assert isinstance(model, nn.Module)
