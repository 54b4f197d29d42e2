"""Momentum-SAM, CR-SAM and X-SAM on a quadratic, worked out by hand."""

from __future__ import annotations

import pytest
import torch

from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.methods import build_method
from msam_lib.models import wrap
from tests.helpers import make_batch, make_model
from tests.methods.bowls import BATCH, Bowl, trained

H = torch.tensor([1.0, 4.0])
ONE = torch.ones(2)


@pytest.mark.parametrize(("sign", "factor"), [("minus", -1.0), ("plus", 1.0)])
def test_momentum_sam_by_hand(sign, factor):
    # step 1 is plain: g = (1, 4), v = g, w = 1 - 0.1 g; step 2 takes its gradient beside w
    w1 = ONE - 0.1 * H
    v1 = H
    g2 = H * (w1 + factor * 0.5 * v1 / v1.norm())
    w2 = w1 - 0.1 * (0.9 * v1 + g2)
    bowl = trained("momentum_sam", 2, momentum=0.9, rho=0.5, sign=sign)
    assert torch.allclose(bowl.w.detach(), w2, atol=1e-6)
    assert bowl.calls == 2


def test_momentum_sam_needs_momentum():
    model, rule = make_model(), build_method("momentum_sam")
    optimizer = torch.optim.Adagrad(model.parameters())
    with pytest.raises(UnsupportedSetting, match="Adagrad keeps none"):
        for _ in range(2):
            rule.step(model, make_batch(), optimizer)


def test_cr_sam_by_hand():
    # on a quadratic g_+ + g_- - 2 g_0 = 0 and g_+ - g_- = 2 H eps
    eps = 0.5 * H / H.norm()
    step = H * (ONE + eps) + 0.3 * 2 * H * eps
    bowl = trained("cr_sam", 1, rho=0.5, gamma=7.0, beta=0.3)
    assert torch.allclose(bowl.w.detach(), ONE - 0.1 * step, atol=1e-5)
    assert bowl.calls == 3


def test_cr_sam_sees_third_derivatives():
    # loss w^4 at w = 1, eps = rho: g = 4 w^3, g_+ + g_- - 2 g_0 = 24 w rho^2
    from msam_lib.data import Batch

    class Quartic(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.w.pow(4).sum().view(1, 1)

    net, rule = Quartic(), build_method("cr_sam", rho=0.1, gamma=0.5, beta=0.0)
    rule.loss = lambda output, batch: output.logits.squeeze()
    batch = Batch({"x": torch.zeros(1, 1)}, torch.zeros(1, dtype=torch.long))
    rule.step(wrap(net, ["x"], call="args"), batch, torch.optim.SGD(net.parameters(), lr=0.1))
    assert float(net.w.detach()) == pytest.approx(
        1 - 0.1 * (4 * 1.1**3 + 0.5 * 24 * 0.01), abs=1e-5
    )


def after_one_step_of_sam():
    w = ONE - 0.1 * H * (ONE + 0.5 * H / H.norm())
    g = H * w
    return w, H * (w + 0.5 * g / g.norm())


@pytest.mark.parametrize("projection", ["printed", "normalised"])
def test_x_sam_by_hand(projection):
    # the first step is SAM's; the leading eigenvector of diag(1, 4) is the second axis
    w, adv = after_one_step_of_sam()
    bowl = trained("x_sam", 1, rho=0.5, period=1)
    assert torch.allclose(bowl.w.detach(), w, atol=1e-6)
    unit = adv / adv.norm()
    along = (adv if projection == "printed" else unit)[1]
    step = unit - 0.5 * torch.stack([torch.zeros(()), along])
    options = {"alpha": 0.5, "period": 1, "iterations": 20, "projection": projection}
    bowl = trained("x_sam", 2, rho=0.5, **options)
    assert torch.allclose(bowl.w.detach(), w - 0.1 * step, atol=1e-5)
    assert bowl.calls == 2 + 3


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("variant", ["paper", "released"])
def test_x_sam_as_released_does_not_turn_the_eigenvector(variant, sign):
    rule = build_method("x_sam", rho=0.5, alpha=0.5, variant=variant)
    rule.loss = lambda output, batch: output.logits.squeeze()
    bowl = Bowl()
    model = wrap(bowl, ["x"], call="args")
    rule.setup(model)
    rule.memory["known"], rule.leading = True, sign * torch.tensor([0.0, 1.0])
    rule.step(model, BATCH, torch.optim.SGD(bowl.parameters(), lr=0.1))
    adv = H * (ONE + 0.5 * H / H.norm())
    step = (ONE - bowl.w.detach()) / 0.1 * adv.norm() / adv
    against = variant == "released" and sign < 0
    assert step.tolist() == pytest.approx([1.0, 1.5 if against else 0.5], abs=1e-5)


def test_x_sam_estimates_every_period_and_counts_epochs_where_the_released_code_does():
    def calls(variant, epochs):
        rule = build_method("x_sam", period=2, variant=variant)
        rule.loss = lambda output, batch: output.logits.squeeze()
        bowl, out = Bowl(), []
        model = wrap(bowl, ["x"], call="args")
        optimizer = torch.optim.SGD(bowl.parameters(), lr=0.01)
        for epoch in range(epochs):
            rule.on_epoch_start(model, epoch, None)
            for _ in range(3):
                before = bowl.calls
                rule.step(model, BATCH, optimizer)
                out.append(bowl.calls - before)
        return out

    assert calls("paper", 2) == [2, 2, 3, 2, 3, 2]
    assert calls("released", 2) == [2, 2, 3, 2, 2, 3]


def test_x_sam_without_correction_is_normalised_sam_after_its_first_period():
    w, adv = after_one_step_of_sam()
    a = trained("x_sam", 2, rho=0.5, alpha=0.0, period=1)
    assert torch.allclose(a.w.detach(), w - 0.1 * adv / adv.norm(), atol=1e-6)
    assert a.calls == 4
    b = trained("x_sam", 3, rho=0.5, alpha=0.0, period=1, normalise=False)
    assert torch.allclose(b.w, trained("sam", 3, rho=0.5).w, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("momentum_sam", {"rho": -1}, "rho=-1"),
        ("momentum_sam", {"sign": "minos"}, "Did you mean 'minus'"),
        ("cr_sam", {"gamma": -0.5}, "gamma=-0.5"),
        ("x_sam", {"alpha": 3}, "alpha=3"),
        ("x_sam", {"period": 0}, "period=0"),
        ("x_sam", {"projection": "print"}, "Did you mean 'printed'"),
        ("x_sam", {"variant": "release"}, "Did you mean 'released'"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
