"""Gauss-Newton traces and block norms against matrices written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from msam_lib.data import Batch
from msam_lib.diagnostics import (
    HessianOperator,
    block_norms,
    gauss_newton_traces,
)
from tests.diagnostics.test_hessian import exact, tiny
from tests.diagnostics.tools import BOWL, EMPTY, Bowl, random_symmetric


def test_linear_late_fusion_has_a_closed_form():
    """tr H_mm = mean_n (1 − ‖p_n‖²) (‖h_n‖² + 1) for a softmax on a sum of linear heads."""
    model, batch = tiny(3)
    with torch.no_grad():
        out = model(batch.inputs)
    p = out.logits.softmax(-1)
    wide = sum(out.features[m].square().sum(1) + 1 for m in model.modalities)
    truth = float(((1 - p.square().sum(1)) * wide).mean())
    dense = HessianOperator(model, batch, "fusion").dense()
    assert float(dense.trace()) == pytest.approx(truth, rel=1e-12)
    # A head is linear, so its Gauss–Newton matrix is its Hessian.
    gn = gauss_newton_traces(model, batch, "fusion", probes=4000)["fusion"]
    assert abs(gn.value - truth) < 4 * gn.std_error


def test_gauss_newton_trace_against_jacobians():
    model, batch = tiny()
    params = dict(model.named_parameters())
    out = model(batch.inputs).logits
    p = out.detach().softmax(-1)
    truth = dict.fromkeys(model.blocks(), 0.0)
    for n in range(len(out)):
        lam = torch.diag(p[n]) - torch.outer(p[n], p[n])
        for b, ps in model.blocks().items():
            rows = [
                torch.cat(
                    [
                        torch.zeros_like(q).flatten() if g is None else g.flatten()
                        for g, q in zip(
                            torch.autograd.grad(
                                z, list(ps.values()), retain_graph=True, allow_unused=True
                            ),
                            ps.values(),
                            strict=True,
                        )
                    ]
                )
                for z in out[n]
            ]
            j = torch.stack(rows)
            truth[b] += float((j.T @ lam @ j).trace()) / len(out)
    assert params
    found = gauss_newton_traces(model, batch, probes=3000, progress=False)
    for b, value in truth.items():
        assert abs(found[b].value - value) < 4 * found[b].std_error, b
    total = found["total"]
    assert total.value == pytest.approx(sum(found[b].value for b in truth))
    halves = [
        Batch({m: x[i] for m, x in batch.inputs.items()}, batch.targets[i])
        for i in (slice(6), slice(6, 20))
    ]
    split = gauss_newton_traces(model, halves, probes=3000)["x1"]
    assert abs(split.value - truth["x1"]) < 4 * split.std_error


def test_the_error_of_a_norm_is_its_spread_over_seeds():
    bowl = Bowl(random_symmetric(6), torch.zeros(6, dtype=torch.float64))
    found = [
        block_norms(bowl, EMPTY, probes=20, seed=s, sampling=BOWL, progress=False)
        for s in range(0, 2000, 50)
    ]
    spread = np.std([f.norms for f in found], axis=0)
    stated = np.mean([f.std_errors for f in found], axis=0)
    assert np.median(spread / stated) == pytest.approx(1, abs=0.25)


def test_squares_are_averaged_not_norms():
    # of a matrix of ones ‖(Hz)_a‖ = √3 |Σ z_b|: 3 in the root mean square, 2.6 on average
    bowl = Bowl(torch.ones(6, 6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64))
    found = block_norms(bowl, EMPTY, probes=400, sampling=BOWL, progress=False)
    assert found.norms == pytest.approx(np.full((2, 2), 3.0), abs=0.25)


@pytest.mark.parametrize("m", [2, 3])
def test_block_norms_against_the_matrix(m):
    model, batch = tiny(m)
    h, where = exact(model, batch)
    found = block_norms(model, batch, probes=300, progress=False)
    for i, a in enumerate(found.blocks):
        for j, b in enumerate(found.blocks):
            truth = float(torch.linalg.matrix_norm(h[where[a], where[b]]))
            assert abs(found.norms[i, j] - truth) < 4.5 * found.std_errors[i, j] + 1e-12
    assert found.interference().diagonal() == pytest.approx(np.ones(m + 1))
