"""Interpolation, trajectories, wrapped models, and landscapes on disk."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from msam_lib import diagnostics as d
from msam_lib.diagnostics import Landscape
from msam_lib.errors import DatasetCorrupt, MsamError
from msam_lib.models import wrap
from tests.diagnostics.test_landscape import with_statistics
from tests.diagnostics.tools import BOWL, EMPTY, Bowl
from tests.helpers import make_batch, make_model


def test_interpolation_ends_at_the_two_models():
    batch = make_batch(2, 20)
    a, b = (with_statistics(make_model("late", 2, seed=s), batch) for s in (0, 5))
    found = d.interpolate(a, b.state_dict(), batch, steps=3, span=(0.0, 1.0))
    for model, value in ((a, found.loss[0]), (b, found.loss[2])):
        with torch.no_grad():
            expected = F.cross_entropy(
                copy.deepcopy(model).eval()(batch.inputs).logits, batch.targets
            )
        assert value == pytest.approx(float(expected), rel=1e-4)
    with pytest.raises(MsamError, match="lacks"):
        d.interpolate(a, {}, batch)


def test_trajectory_of_a_known_path():
    bowl = Bowl(torch.eye(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64))
    u, v = torch.eye(6, dtype=torch.float64)[:2]
    states = []
    for t in torch.linspace(1, 0, 6):
        w = 3 * t * u + t * t * v
        states.append({"a": w[:3], "b": w[3:], "hessian": bowl.hessian, "centre": bowl.centre})
    found = d.pca_trajectory(bowl, states)
    assert found.explained.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.path[-1], 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found.path[0]), np.sqrt(10), rtol=1e-6)
    view = d.trajectory_plane(bowl, EMPTY, states, steps=4, sampling=BOWL)
    np.testing.assert_allclose(
        view.loss, (view.x[:, None] ** 2 + view.y[None] ** 2) / 2, rtol=1e-6, atol=1e-9
    )
    with pytest.raises(MsamError, match="at least 3"):
        d.pca_trajectory(bowl, states[:2])
    line = [s | {"a": t * u[:3], "b": u[3:]} for t, s in enumerate(states)]
    with pytest.raises(MsamError, match="one line"):
        d.pca_trajectory(bowl, line)


def test_a_wrapped_model_has_planes_too():
    inner_model = make_model("late", 2)
    wrapped = wrap(inner_model, ["x1", "x2"], encoders=dict(inner_model.encoders.items()))
    batch = make_batch(2, 9)
    a = d.plane(inner_model, batch, directions=(d.random_direction(inner_model, "x1"), {}), steps=3)
    moved = {f"module.{n}": t for n, t in d.random_direction(inner_model, "x1").items()}
    b = d.plane(wrapped, batch, directions=(moved, {}), steps=3)
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-5)


def test_storage(tmp_path):
    found = d.plane(make_model("late", 2), make_batch(2, 9), "x1", "x2", steps=3, seed=4)
    back = Landscape.load(found.save(tmp_path / "landscape-a"))
    np.testing.assert_array_equal(back.loss, found.loss)
    np.testing.assert_array_equal(back.accuracy, found.accuracy)
    assert back.meta == found.meta
    assert (back.meta["seed"], back.meta["directions_seed"]) == (0, 4)
    with pytest.raises(MsamError, match="diagnose"):
        Landscape.load(tmp_path / "other.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK no")
    with pytest.raises(DatasetCorrupt):
        Landscape.load(tmp_path / "bad.npz")
