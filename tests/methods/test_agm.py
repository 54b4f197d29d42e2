"""AGM with three modalities, against the sum over all orders; AGM and OGM-GE with one."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from msam_lib.methods import build_method
from tests.helpers import distance, make_batch, make_model, sgd, steps, weights


def test_agm_ratios_of_three_by_hand():
    rule = build_method("agm", alpha=1.0)
    rule.setup(make_model(m=3))
    rule.means, rule.count = torch.tensor([0.3, 0.6, 0.9]), torch.tensor(4.0)
    s = [0.5, 0.4, 0.9]  # mean 0.6, as that of the means; M / (M - 1) = 3 / 2
    rows = [[-v, math.log(1 - math.exp(-v))] for v in s]
    c = rule.coefficients(torch.tensor(rows)[:, None], torch.tensor([0]))
    gaps = [(0.45, 0.15), (0.0, 0.3), (-0.45, -0.45)]  # exponents of tau and r
    expected = [math.exp(math.exp(tau) - math.exp(r)) for tau, r in gaps]
    assert c.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("fusion", ["late", "maxout"])
def test_agm_gradient_of_three_against_the_sum_over_orders(fusion):
    # m_k: what k adds to the logits on joining, averaged over the 3! orders; nobody counts as 0
    model, batch = make_model(fusion, 3, dropout=0.0), make_batch(3)
    rule = build_method("agm", alpha=1.0)
    rule.setup(model)
    rule.means, rule.count = torch.tensor([0.9, 1.1, 1.3]), torch.tensor(3.0)
    net, before = copy.deepcopy(model), weights(model)
    logs = rule.step(model, batch, sgd(model, 0.1))
    c = {m: float(logs[f"coefficient/{m}"]) for m in net.modalities}
    assert max(c.values()) - min(c.values()) > 0.01
    features = net.encode(batch.inputs)
    full = net.fuse(features).logits
    net.eval()
    gone = {m: v.expand(12, -1) for m, v in net.absent_features(batch.inputs).items()}

    def play(present):
        if len(present) in (0, 3):
            return full if present else torch.zeros_like(full)
        here = {m: features[m] if m in present else gone[m] for m in features}
        return net.fuse(here).logits

    total = 0
    for order in itertools.permutations(net.modalities):
        for i, m in enumerate(order):
            total = total + c[m] * (play(order[: i + 1]) - play(order[:i])) / 6
    slope = torch.autograd.grad(F.cross_entropy(full, batch.targets), full, retain_graph=True)[0]
    (total * slope).sum().backward()
    for name, p in net.named_parameters():
        moved_by = (before[name] - dict(model.named_parameters())[name].detach()) / 0.1
        assert torch.allclose(moved_by, p.grad, atol=2e-5), name


@pytest.mark.parametrize("fusion", ["late", "maxout"])
@pytest.mark.parametrize(("name", "options"), [("agm", {}), ("ogm_ge", {"ge": False})])
def test_one_modality_alone_is_joint_training(name, options, fusion):
    model = make_model(fusion, 1, unimodal_heads=fusion == "maxout")
    batches = [make_batch(1, seed=s) for s in (1, 2, 3)]
    joint = steps(model, build_method("joint"), batches)
    assert distance(steps(model, build_method(name, **options), batches), joint) < 1e-6
    assert distance(joint, model) > 1e-4
