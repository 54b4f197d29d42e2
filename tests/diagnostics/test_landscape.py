"""Planes against closed forms, and the fast ways through a plane against the plain one."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from msam_lib import diagnostics as d
from msam_lib.data import Batch, MultimodalDataset
from msam_lib.diagnostics.landscape.directions import inner, norm, orthogonal_to
from msam_lib.models import wrap
from tests.diagnostics.tools import BOWL, EMPTY, Bowl, random_symmetric
from tests.helpers import make_batch, make_model, two_cnns


def with_statistics(model, batch):
    """Running statistics that are not (0, 1), or folding would have nothing to do."""
    model.train()
    for _ in range(3):
        model(batch.inputs)
    for p in model.parameters():
        if p.dim() == 1:
            torch.nn.init.uniform_(p, 0.2, 1.5)
    return model


def test_plane_and_line_of_a_bowl():
    h = random_symmetric(6)
    at = torch.randn(6, dtype=torch.float64)
    bowl = Bowl(h, at, floor=2.0)
    first = {"a": torch.tensor([1.0, 2, 0]), "b": torch.tensor([0.0, 1, 1])}
    second = {"b": torch.tensor([1.0, -1, 0.5])}
    found = d.plane(
        bowl, EMPTY, directions=(first, second), steps=7, span=(-0.5, 2.0), sampling=BOWL
    )
    u = torch.cat([first["a"], first["b"]]).double()
    v = torch.cat([torch.zeros(3), second["b"]]).double()
    for i, x in enumerate(found.x):
        for j, y in enumerate(found.y):
            w = at + x * u + y * v
            assert found.loss[i, j] == pytest.approx(float(w @ h @ w / 2) + 2.0, rel=1e-12)
    assert found.accuracy is None
    line = d.line(bowl, EMPTY, direction=first, steps=3, sampling=BOWL)
    w = at - u
    assert line.loss[0] == pytest.approx(float(w @ h @ w / 2) + 2.0, rel=1e-12)


def test_the_two_axes_of_a_random_plane_differ():
    found = d.plane(make_model("late", 2), make_batch(2, 12), "x1", steps=3)
    assert abs(found.loss[0, 2] - found.at_origin) > 1e-4  # were they one, x - y would be 0 there


def test_eigen_plane_of_a_bowl_shows_the_eigenvalues():
    h = random_symmetric(8, positive=True)
    bowl = Bowl(h, torch.zeros(8, dtype=torch.float64))
    found = d.eigen_plane(bowl, EMPTY, steps=5, span=2.0, sampling=BOWL)
    top = torch.linalg.eigvalsh(h).flip(0)[:2].numpy()
    np.testing.assert_allclose(found.meta["eigenvalues"], top, rtol=1e-5)
    expected = (top[0] * found.x[:, None] ** 2 + top[1] * found.y[None] ** 2) / 2
    np.testing.assert_allclose(found.loss, expected, atol=1e-5)


def test_filter_normalisation():
    model = make_model("late", 3)
    direction = d.random_direction(model, seed=1)
    for name, p in model.named_parameters():
        if p.dim() < 2:
            assert name not in direction
            continue
        rows, own = direction[name].flatten(1), p.detach().flatten(1)
        torch.testing.assert_close(rows.norm(dim=1), own.norm(dim=1), rtol=1e-4, atol=1e-6)
    part = d.random_direction(model, "x2", seed=1)
    assert part
    assert all(torch.equal(t, direction[n]) for n, t in part.items())
    assert set(part) <= set(model.blocks()["x2"])
    other = d.random_direction(model, seed=2)
    assert abs(inner(direction, other)) < 0.3 * norm(direction) * norm(other)
    assert abs(inner(orthogonal_to(direction, other), other)) < 1e-4
    layer = d.random_direction(model, normalise="layer", vectors="norm")
    assert norm(layer) == pytest.approx(norm(dict(model.named_parameters())), rel=1e-4)


def test_filter_normalised_planes_ignore_the_scale_of_relu_layers():
    """Scaling one layer by 10 and the next by 1/10 changes no function and no filter-normalised
    plane.
    """
    model = two_cnns(norm=False).double()
    batch = make_batch(1, 10)
    x = batch.inputs["x1"].double()
    batch = batch._replace(inputs={"x1": x, "x2": x.flip(0)})
    for (
        p
    ) in model.parameters():  # biases are not moved by the direction: none, so that all scale alike
        if p.dim() == 1:
            torch.nn.init.zeros_(p)
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        scaled.encoders["x1"].net[0].weight.mul_(10)
        scaled.encoders["x1"].net[2].weight.div_(10)
    a, b = (d.plane(m, batch, "x1", steps=5) for m in (model, scaled))
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-9)


PAIRS = [("x1", "x2"), ("x2", "x1"), ("x1", "x1"), ("all", "all"), ("x1", "fusion"), ("x1", "all")]


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize(("fusion", "m"), [("late", 2), ("concat", 3), ("maxout", 2), ("gated", 3)])
def test_reused_features_change_nothing(fusion, m, mode):
    batch = make_batch(m, 11)
    model = with_statistics(make_model(fusion, m), batch)
    data = MultimodalDataset(batch.inputs, batch.targets)
    for a, b in PAIRS:
        sampling = d.Sampling(batch_size=6, mode=mode)
        options = {"steps": 3, "span": 0.5, "sampling": sampling, "fast": False}
        plain = d.plane(model, data, a, b, cache=False, **options)
        quick = d.plane(model, data, a, b, **options)
        assert quick.meta["cached"]
        assert not plain.meta["cached"]
        np.testing.assert_allclose(quick.loss, plain.loss, rtol=2e-7)
        np.testing.assert_array_equal(quick.accuracy, plain.accuracy)


def test_reused_features_are_bit_identical_with_late_fusion():
    batch = make_batch(2, 11)
    model = with_statistics(make_model("late", 2), batch)
    plain, quick = (
        d.plane(model, batch, "x1", "x2", steps=5, cache=c, fast=False).loss for c in (False, True)
    )
    np.testing.assert_array_equal(plain, quick)


@pytest.mark.parametrize("fusion", ["late", "maxout"])
def test_folding_batch_norm_changes_nothing(fusion):
    batch = make_batch(3, 16)
    model = with_statistics(make_model(fusion, 3), batch)
    for a, b in PAIRS:
        plain, quick = (
            d.plane(model, batch, a, b, steps=3, cache=c, fast=c) for c in (False, True)
        )
        assert quick.meta["folded"]
        np.testing.assert_allclose(quick.loss, plain.loss, rtol=1e-4)


def test_folding_moves_with_directions_in_biases_and_norms():
    batch = make_batch(2, 16)
    model = with_statistics(make_model("late", 2), batch)
    pair = [d.random_direction(model, seed=s, vectors="norm") for s in (1, 2)]
    for n, p in model.named_parameters():
        if n.endswith("bias") and p.dim() == 1:  # β moves, γ does not
            pair[1][n] = torch.randn_like(p)
    gammas = {n for n in pair[1] if n.endswith("weight") and pair[1][n].dim() == 1}
    second = {n: t for n, t in pair[1].items() if n not in gammas}
    for directions in ((pair[0], second), ({}, second), (second, {})):
        plain, quick = (
            d.plane(model, batch, directions=directions, steps=3, span=0.5, cache=c, fast=c)
            for c in (False, True)
        )
        assert quick.meta["folded"]
        np.testing.assert_allclose(quick.loss, plain.loss, rtol=1e-4)


def test_a_layer_that_is_read_twice_is_not_folded():
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm = torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3)

        def forward(self, inputs):
            h = self.layer(inputs["x2"])
            return self.norm(h) + h

    batch = make_batch(2, 16)
    odd = Odd()
    odd.norm.running_var.fill_(3.0)
    wrapped = wrap(odd, ["x1", "x2"])
    plain, quick = (d.plane(wrapped, batch, steps=3, fast=f) for f in (False, True))
    assert not quick.meta["folded"]
    np.testing.assert_allclose(plain.loss, quick.loss, rtol=1e-5)


def test_centre_is_the_model_and_accuracy_is_its_accuracy():
    batch = make_batch(2, 30)
    model = with_statistics(make_model("late", 2), batch)
    found = d.plane(model, batch, steps=5)
    with torch.no_grad():
        logits = copy.deepcopy(model).eval()(batch.inputs).logits
    assert found.loss[2, 2] == pytest.approx(
        float(F.cross_entropy(logits, batch.targets)), rel=1e-5
    )
    assert found.accuracy[2, 2] == pytest.approx(
        float((logits.argmax(1) == batch.targets).float().mean())
    )
    assert found.at_origin == found.loss[2, 2]
    again = d.plane(model, batch, steps=5)
    np.testing.assert_array_equal(found.loss, again.loss)
    assert not np.array_equal(found.loss, d.plane(model, batch, steps=5, seed=1).loss)


def test_losses_far_away_may_be_infinite():
    bowl = Bowl(torch.eye(4), torch.zeros(4))
    huge = {"a": torch.full((2,), 1e30)}
    found = d.line(bowl, EMPTY, direction=huge, steps=3, sampling=BOWL)
    assert np.isinf(found.loss[[0, 2]]).all()
    assert found.loss[1] == 0


class Kernels(torch.nn.Module):
    """Keeps, also for its copies, whether the fast attention kernels were allowed in each call."""

    def __init__(self, fast):
        super().__init__()
        self.linear, self.note = torch.nn.Linear(8, 3), fast.append

    def forward(self, x):
        self.note(torch.backends.cuda.flash_sdp_enabled())
        return self.linear(x["x1"])

    def __deepcopy__(self, memo):
        out = copy.copy(self)
        out._modules = copy.deepcopy(self._modules, memo)
        return out


@pytest.mark.parametrize("derivatives", [True, False])
def test_values_use_the_fast_attention_and_derivatives_the_differentiable_one(derivatives):
    fast = []
    model, targets = wrap(Kernels(fast), ["x1"]).eval(), torch.arange(8) % 3
    batch = Batch({"x1": torch.randn(8, 8)}, targets)
    if derivatives:
        d.hessian_trace(model, batch, probes=1)
    else:
        d.plane(model, batch, steps=3)
    assert fast
    assert set(fast) == {not derivatives}
