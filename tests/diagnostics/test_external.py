"""The two packages, through the adapters, agree with ours on the same points and probes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from msam_lib import diagnostics as d
from msam_lib.diagnostics.external import PyHessian, loss_landscapes_plane
from tests.diagnostics.tools import assert_untouched, disturb, fingerprint
from tests.helpers import make_batch, make_model

pytest.importorskip("pyhessian")
pytest.importorskip("loss_landscapes")


@pytest.mark.parametrize("m", [2, 3])
def test_pyhessian_agrees_on_the_same_probes(m):
    model, batch = make_model("late", m), make_batch(m, 16)
    disturb(model)
    before = fingerprint(model)
    for block in (*model.modalities, "fusion", "all"):
        ours = d.hessian_trace(model, batch, block, probes=6, seed=2)
        for _ in range(2):  # the second object must not see the first one's gradients
            theirs = PyHessian(model, batch, block).trace(probes=6, seed=2)
            np.testing.assert_allclose(
                theirs, ours.samples, rtol=1e-3, atol=1e-4 * abs(theirs).max()
            )
    assert_untouched(model, before)


def test_split_probes_are_the_parts_of_pyhessians_product():
    model, batch = make_model("late", 2), make_batch(2, 16)
    ours = d.block_traces(model, batch, probes=3, seed=1)
    theirs = PyHessian(model, batch)
    for k in range(3):
        z = torch.Generator().manual_seed(1_000_003 + k)
        z = torch.empty(theirs.layout.size).bernoulli_(0.5, generator=z).mul_(2).sub_(1)
        terms = theirs.layout.named(z * theirs.product(z))
        for b, names in ((b, set(p)) for b, p in model.blocks().items()):
            if ours[b].estimator == "split":
                part = sum(float(t.sum()) for n, t in terms.items() if n in names)
                assert ours[b].samples[k] == pytest.approx(part, rel=1e-3, abs=1e-5)


def test_pyhessian_eigenvalue():
    model, batch = make_model("late", 2), make_batch(2, 16)
    ours = d.top_eigenvalues(model, batch, "fusion", which="magnitude", k=1, tol=1e-6)
    theirs = PyHessian(model, batch, "fusion").eigenvalues()
    assert theirs[0] == pytest.approx(ours.values[0], rel=1e-2)


@pytest.mark.parametrize("blocks", [("x1", "x2"), ("x1", "x1"), ("all", "all")])
@pytest.mark.parametrize("m", [2, 3])
def test_loss_landscapes_agrees_at_the_same_points(m, blocks):
    model, batch = make_model("late", m), make_batch(m, 16)
    disturb(model)
    before = fingerprint(model)
    pair = [d.random_direction(model, b, seed=i) for i, b in enumerate(blocks)]
    ours = d.plane(model, batch, directions=tuple(pair), steps=5)
    theirs = loss_landscapes_plane(model, batch, *pair, ours.x, ours.y)
    np.testing.assert_allclose(ours.loss, theirs, rtol=1e-4)
    assert_untouched(model, before)


def test_neither_package_is_imported_by_ours():
    code = (
        "import sys, msam_lib.diagnostics as d; d.plane; d.block_traces; "
        "import msam_lib.diagnostics.external; "
        "sys.exit(any(m in sys.modules for m in ('pyhessian', 'loss_landscapes')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_stored_landscape_needs_no_torch():
    code = (
        "import sys; from msam_lib.diagnostics import Landscape; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
