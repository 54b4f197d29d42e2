"""MASAM: choice and displacement by hand, and the step against a naive one."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from msam_lib.errors import MsamError
from msam_lib.methods import build_method
from msam_lib.methods.masam import Geometry
from tests.helpers import distance, make_batch, make_model, sgd, steps, weights


def rule(**options):
    made = build_method("masam", **options)
    made.setup(make_model())
    return made


def test_decay_by_hand():
    made = rule(beta=0.8)
    assert made._decay(torch.tensor([1.0, 2.0])).tolist() == [0.0, 0.0]
    # MA = 0.8 * 1 + 0.2 * 0.5 = 0.9, decay = 1 - 0.9; MA = 0.8 * 2 + 0.2 * 3 = 2.2, decay 0
    found = made._decay(torch.tensor([0.5, 3.0]))
    assert found.tolist() == pytest.approx([0.1, 0.0], abs=1e-6)
    # next: MA = 0.8 * 0.9 + 0.2 * 0.4 = 0.8 against the loss before, 0.5: decay 0
    found = made._decay(torch.tensor([0.4, 1.0]))
    assert found.tolist() == pytest.approx([0.0, 3.0 - (0.8 * 2.2 + 0.2 * 1.0)], abs=1e-6)


def test_accord_and_displacement_by_hand():
    a = [torch.tensor([3.0, 0.0]), torch.tensor([4.0])]
    b = [torch.tensor([1.0, 0.0]), torch.tensor([0.0])]
    both, paper = Geometry.of(a, b), rule(rho=0.5)
    gamma = paper._accord(both)
    assert float(gamma) == pytest.approx(3 / 5)
    eps = paper._displacement(a, both, gamma)
    assert eps[0].tolist() == pytest.approx([0.5 * 0.6 * 3 / 5, 0.0])
    assert eps[1].tolist() == pytest.approx([0.5 * 0.6 * 4 / 5])
    plain = rule(rho=0.5, mdps=False)._displacement(a, both, gamma)
    assert plain[1].tolist() == pytest.approx([0.5 * 4 / 5])
    released = rule(rho=0.5, variant="released")
    assert float(released._accord(both)) == pytest.approx((1.0 + 0.0) / 2)
    # projections of b on a, tensor by tensor: (1, 0) and 0; the last cosine, 0, scales nothing
    eps = released._displacement(a, both, gamma)
    assert [e.tolist() for e in eps] == [[0.5, 0.0], [0.0]]
    b[1] = torch.tensor([-2.0])  # against a: the projection is a itself, the factor 1
    eps = released._displacement(a, Geometry.of(a, b), gamma)
    assert eps[1].tolist() == pytest.approx([0.5 * 4 / math.sqrt(1 + 16)])


def test_a_gradient_of_zeros_displaces_nothing():
    zeros, b = [torch.zeros(2), torch.zeros(1)], [torch.ones(2), torch.ones(1)]
    for variant in ("paper", "released"):
        made, both = rule(variant=variant), Geometry.of(zeros, b)
        assert float(made._accord(both)) == 0.0
        assert all(
            e.tolist() == [0.0] * len(e) for e in made._displacement(zeros, both, both.cosine)
        )


@pytest.mark.parametrize("m", [2, 3])
def test_a_step_against_a_naive_one(m):
    model, batch = make_model("late", m), make_batch(m)
    net, before = copy.deepcopy(model), weights(model)
    made = build_method("masam", rho=0.4, alpha=0.0, weight=0.7)
    logs = made.step(model, batch, sgd(model, 0.1))
    names = list(net.modalities)
    output = net(batch.inputs)
    fused = F.cross_entropy(output.logits, batch.targets)
    own = {k: F.cross_entropy(z, batch.targets) for k, z in output.unimodal.items()}
    g_f, g_u, gamma = {}, {}, {}
    for k in names:
        ps = net.parameters_of(k)
        g_f[k] = torch.autograd.grad(fused, ps, retain_graph=True)
        g_u[k] = torch.autograd.grad(own[k], ps, retain_graph=True)
        x = torch.cat([g.flatten() for g in g_f[k]])
        y = torch.cat([g.flatten() for g in g_u[k]])
        gamma[k] = float(x @ y / x.norm() / y.norm())
        assert float(logs[f"accord/{k}"]) == pytest.approx(gamma[k], abs=1e-4)
    best = max(gamma, key=gamma.get)  # alpha = 0: the accord alone decides
    size = math.sqrt(sum(float(g.square().sum()) for g in g_f[best]))
    there = copy.deepcopy(net)
    with torch.no_grad():
        for p, g in zip(there.parameters_of(best), g_f[best], strict=True):
            p += 0.4 * gamma[best] * g / size
    moved = F.cross_entropy(there(batch.inputs).logits, batch.targets)
    g_there = torch.autograd.grad(moved, there.parameters_of(best))
    label = {id(p): k for k, p in net.named_parameters()}
    now = weights(model)
    for k in names:
        first = g_there if k == best else g_f[k]
        for p, a, b in zip(net.parameters_of(k), first, g_u[k], strict=True):
            name = label[id(p)]
            found = (before[name] - now[name]) / 0.1
            assert torch.allclose(found, a + 0.7 * b, atol=2e-5), name


def test_ablations_and_variants_differ():
    batches = [make_batch(seed=s) for s in (1, 2, 3)]
    cases = [{}, {"aps": False}, {"mdps": False}, {"variant": "released"}]
    made = [steps(make_model(), build_method("masam", rho=1.0, **c), batches) for c in cases]
    for i, a in enumerate(made):
        for b in made[:i]:
            assert distance(a, b) > 1e-5


def test_the_first_choice_follows_the_decay():
    made = rule(alpha=1.0)
    model = make_model()
    made.step(model, make_batch(), sgd(model))
    made.last, made.averages = torch.tensor([0.0, 9.0]), torch.tensor([1.0, 1.0])
    logs = made.step(model, make_batch(), sgd(model))
    assert float(logs["score/x2"]) > float(logs["score/x1"]) == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": -1}, "rho=-1"),
        ({"alpha": 2}, "alpha=2: give a number, between 0 and 1"),
        ({"beta": 1}, "beta=1"),
        ({"variant": "code"}, "Available: paper, released"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        build_method("masam", **options)
