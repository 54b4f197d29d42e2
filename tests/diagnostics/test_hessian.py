"""Products, traces and spectra against matrices that are known."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.func import functional_call

from msam_lib.data import Batch, BatchLoader, MultimodalDataset
from msam_lib.diagnostics import (
    HessianOperator,
    Sampling,
    block_traces,
    fused_loss,
    hessian_trace,
    hvp,
    spectral_density,
    top_eigenvalues,
    unimodal_loss,
)
from msam_lib.diagnostics.sharpness._loss import DisplacedLoss
from msam_lib.models import MLP, MultimodalModel, build_fusion
from tests.diagnostics.tools import BOWL, EMPTY, Bowl, random_symmetric
from tests.helpers import make_batch, make_model


def tiny(m: int = 2, fusion: str = "late") -> tuple[MultimodalModel, Batch]:
    """MLP encoders in float64, small enough for a dense Hessian."""
    torch.manual_seed(3)
    sizes = {f"x{i}": 2 + i for i in range(1, m + 1)}
    encoders = {k: MLP(d, 3, hidden=4) for k, d in sizes.items()}
    options = {} if fusion == "late" else {"hidden": 4}
    model = MultimodalModel(
        encoders, build_fusion(fusion, dict.fromkeys(sizes, 3), 3, **options)
    ).double()
    inputs = {k: torch.randn(20, d, dtype=torch.float64) for k, d in sizes.items()}
    return model, Batch(inputs, torch.randint(3, (20,)))


def exact(model, batch) -> tuple[torch.Tensor, dict[str, slice]]:
    """The full Hessian by `torch.autograd.functional`, and where each block lies in it."""
    params = dict(model.named_parameters())
    names, sizes = list(params), [p.numel() for p in params.values()]

    def f(v):
        parts = zip(names, v.split(sizes), strict=True)
        state = {n: x.view_as(params[n]) for n, x in parts}
        logits = functional_call(model, state, (batch.inputs,)).logits
        return torch.nn.functional.cross_entropy(logits, batch.targets)

    flat = torch.cat([p.detach().flatten() for p in params.values()])
    h = torch.autograd.functional.hessian(f, flat)
    where, start = {}, 0
    for b, ps in model.blocks().items():
        n = sum(p.numel() for p in ps.values())
        where[b] = slice(start, start + n)
        start += n
    return h, where


@pytest.mark.parametrize(("m", "fusion"), [(2, "late"), (3, "late"), (3, "gated")])
def test_operator_is_the_exact_hessian_of_a_small_network(m, fusion):
    model, batch = tiny(m, fusion)
    model.eval()
    h, where = exact(model, batch)
    torch.testing.assert_close(HessianOperator(model, batch).dense(), h, atol=1e-12, rtol=1e-9)
    for a, rows in where.items():
        for b, columns in where.items():
            found = HessianOperator(model, batch, b, onto=a).dense()
            torch.testing.assert_close(found, h[rows, columns], atol=1e-12, rtol=1e-9)


def test_weights_that_the_loss_does_not_use_have_no_curvature():
    model, batch = tiny()
    alone = Sampling(loss=unimodal_loss("x1"))
    h, where = HessianOperator(model, batch, sampling=alone).dense(), exact(model, batch)[1]
    assert h[where["x1"], where["x1"]].any()
    assert not h[where["x2"]].any()
    assert not h[:, where["x2"]].any()
    _, gradient = DisplacedLoss(model, batch, sampling=alone).value_and_gradient(
        torch.zeros(len(h))
    )
    assert gradient[where["x1"]].any()
    assert not gradient[where["x2"]].any()


def test_minibatches_of_unequal_size_average_to_the_whole():
    model, batch = tiny()
    data = MultimodalDataset(batch.inputs, batch.targets)
    v = torch.randn(HessianOperator(model, batch).shape[0], dtype=torch.float64)
    whole, by_seven = hvp(model, batch, v), Sampling(batch_size=7)
    for same in (
        data,
        BatchLoader(data, 4, shuffle=True),
        [batch],
        [(batch.inputs, batch.targets)],
    ):
        torch.testing.assert_close(hvp(model, same, v, sampling=by_seven), whole)
    few = {"probes": 5, "progress": False, "sampling": by_seven}
    one, many = (block_traces(model, d, **few) for d in (batch, data))
    for b in one:
        np.testing.assert_allclose(one[b].samples, many[b].samples, rtol=1e-9, atol=1e-12)


def test_bowl_trace_spectrum_and_moments():
    h = random_symmetric(12)
    bowl = Bowl(h, torch.randn(12, dtype=torch.float64))
    o = {"sampling": BOWL, "progress": False}
    values = torch.linalg.eigvalsh(h).numpy()
    np.testing.assert_allclose(HessianOperator(bowl, EMPTY, sampling=BOWL).dense(), h, atol=1e-12)
    top = top_eigenvalues(bowl, EMPTY, k=3, tol=1e-9, **o)
    np.testing.assert_allclose(top.values, values[:-4:-1], rtol=1e-9)
    np.testing.assert_allclose(h @ top.vectors[0], values[-1] * top.vectors[0], atol=1e-7)
    low = top_eigenvalues(bowl, EMPTY, k=2, which="smallest", **o)
    np.testing.assert_allclose(low.values, values[:2], rtol=1e-5)
    big = top_eigenvalues(bowl, EMPTY, k=12, which="magnitude", **o)
    np.testing.assert_allclose(np.sort(big.values), values, atol=1e-8)
    # Each probe's quadrature is exact for its own vector: zᵀHz/p and zᵀH²z/p, for the vectors used.
    d = spectral_density(bowl, EMPTY, probes=400, steps=6, **o)
    np.testing.assert_allclose(d.weights.sum(1), 1)
    assert d.moment(1) == pytest.approx(float(h.trace()) / 12, abs=0.1)
    assert d.moment(2) == pytest.approx(float(h.square().sum()) / 12, rel=0.1)
    x, y = d.density()
    assert np.trapezoid(y, x) == pytest.approx(1, abs=1e-3)


def test_large_eigenvalues_do_not_come_twice():
    values = torch.cat([torch.tensor([1e4, 1e3]), torch.linspace(0.1, 10, 58)]).double()
    q = torch.linalg.qr(random_symmetric(60)).Q
    bowl = Bowl(q @ values.diag() @ q.T, torch.zeros(60, dtype=torch.float64))
    found = top_eigenvalues(bowl, EMPTY, k=4, iterations=50, tol=1e-12, sampling=BOWL)
    assert found.values == pytest.approx(values.sort().values.flip(0)[:4].numpy(), rel=1e-2)


def test_one_rademacher_probe_is_exact_on_a_diagonal_hessian():
    h = torch.linspace(-1, 3, 8, dtype=torch.float64)
    bowl = Bowl(torch.diag(h), torch.randn(8, dtype=torch.float64))
    found = block_traces(bowl, EMPTY, probes=1, sampling=BOWL)
    assert found["total"].value == pytest.approx(float(h.sum()), rel=1e-12)
    assert found["a"].value == pytest.approx(float(h[:4].sum()), rel=1e-12)
    d = spectral_density(bowl, EMPTY, probes=1, sampling=BOWL)
    assert d.moment(1) == pytest.approx(float(h.mean()))
    assert d.moment(2) == pytest.approx(float(h.square().mean()))


def test_density_stops_when_the_krylov_space_is_exhausted():
    bowl = Bowl(2 * torch.eye(10, dtype=torch.float64), torch.randn(10, dtype=torch.float64))
    d = spectral_density(bowl, EMPTY, probes=2, steps=8, sampling=BOWL)
    assert np.isfinite(d.nodes).sum(1).tolist() == [1, 1]
    assert d.moment(3) == pytest.approx(8)
    assert np.isfinite(d.density()[1]).all()


def test_trace_is_unbiased_and_its_standard_error_is_right():
    model, batch = tiny()
    h, where = exact(model, batch)
    truth = {b: float(h[s, s].trace()) for b, s in where.items()} | {"total": float(h.trace())}
    found = [block_traces(model, batch, probes=8, seed=s, progress=False) for s in range(200)]
    for b, value in truth.items():
        estimates = np.array([f[b].value for f in found])
        stated = np.sqrt(np.mean([f[b].std_error ** 2 for f in found]))
        spread = estimates.std(ddof=1)
        assert abs(estimates.mean() - value) < 4 * spread / np.sqrt(200), b
        assert stated == pytest.approx(spread, rel=0.2), b
    single = hessian_trace(model, batch, "x1", probes=4000, progress=False)
    s = where["x1"]
    variance = 2 * float(h[s, s].square().sum() - h[s, s].diagonal().square().sum())
    assert single.std_error == pytest.approx(np.sqrt(variance / 4000), rel=0.1)


def test_precision_on_demand_and_hutch_plus_plus():
    model, batch = tiny()
    h, where = exact(model, batch)
    truth = float(h[where["x2"], where["x2"]].trace())
    found = hessian_trace(model, batch, "x2", rtol=0.05, max_probes=5000, progress=False)
    assert found.std_error <= 0.05 * abs(found.value)
    assert found.probes == len(found.samples) > 30
    assert abs(found.value - truth) < 4 * found.std_error
    sketch = hessian_trace(model, batch, "x2", probes=45, estimator="hutch++")
    plain = hessian_trace(model, batch, "x2", probes=45)
    assert abs(sketch.value - truth) < max(4 * sketch.std_error, 1e-9)
    assert sketch.std_error < plain.std_error
    everything = hessian_trace(model, batch, "x2", probes=10_000, estimator="hutch++")
    assert everything.value == pytest.approx(truth, abs=1e-10)  # the sketch spans the space
    assert everything.probes == 3 * everything.parameters


def test_adding_probes_keeps_the_first_ones():
    model, batch = tiny()
    few, many = (hessian_trace(model, batch, "x1", probes=k, seed=5) for k in (3, 9))
    np.testing.assert_array_equal(few.samples, many.samples[:3])


def test_batch_norm_mode_changes_the_trace_and_is_recorded():
    model, batch = make_model("late", 2), make_batch(2, 24)
    found = {
        mode: hessian_trace(
            model, batch, "x1", probes=50, sampling=Sampling(mode=mode), progress=False
        )
        for mode in ("eval", "train")
    }
    assert found["eval"].mode == "eval"
    assert found["train"].mode == "train"
    assert found["eval"].value != found["train"].value


def test_dropout_is_off_and_float64_agrees():
    model, batch = make_model("maxout", 2, dropout=0.5), make_batch(2, 24)
    v = torch.randn(HessianOperator(model, batch, "fusion").shape[0])
    first, second = (hvp(model, batch, v, "fusion") for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    double = HessianOperator(model, batch, "fusion", dtype=torch.float64) @ v
    torch.testing.assert_close(double.float(), first, rtol=1e-3, atol=1e-4)


def test_second_derivatives_of_attention_exist():
    model, batch = make_model("late", 3), make_batch(3, 8)
    assert torch.isfinite(
        HessianOperator(model, batch, "x3")
        @ torch.ones(HessianOperator(model, batch, "x3").shape[1])
    ).all()
    assert copy.deepcopy(model).training


def test_memory_is_flat_over_many_probes():
    import gc

    model, batch = tiny()
    gc.collect()

    def tensors():
        return sum(type(x) is torch.Tensor for x in gc.get_objects())

    hessian_trace(model, batch, probes=1)
    before = tensors()
    hessian_trace(model, batch, probes=100)
    assert tensors() <= before + 2
    assert float(fused_loss(model, batch).detach()) > 0
