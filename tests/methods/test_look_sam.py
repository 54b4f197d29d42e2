"""LookSAM on a quadratic, worked out by hand, and the passes it takes."""

from __future__ import annotations

import pytest
import torch

from msam_lib.data import Batch
from msam_lib.errors import MsamError
from msam_lib.methods import build_method
from msam_lib.models import wrap
from tests.helpers import distance, make_batch, make_model, steps


class Bowl(torch.nn.Module):
    """Loss 0.5 (w_1^2 + 4 w_2^2) through a method whose loss is the output itself."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return 0.5 * (self.w**2 * torch.tensor([1.0, 4.0])).sum().view(1, 1)


def method(**options):
    made = build_method("look_sam", **options)
    made.loss = lambda output, batch: output.logits.squeeze()
    return made


def test_two_steps_by_hand():
    bowl = Bowl()
    model, rule = wrap(bowl, ["x"], call="args"), method(rho=1.0, alpha=0.5, period=2)
    optimizer = torch.optim.SGD(bowl.parameters(), lr=0.1)
    batch = Batch({"x": torch.zeros(1, 1)}, torch.zeros(1, dtype=torch.long))
    rule.step(model, batch, optimizer)
    # g = (1, 4), ||g|| = sqrt 17; theta + eps = (1 + 1/sqrt 17, 1 + 4/sqrt 17)
    root = 17**0.5
    g_s = torch.tensor([1 + 1 / root, 4 + 16 / root])
    w = torch.tensor([1.0, 1.0]) - 0.1 * g_s
    assert torch.allclose(bowl.w.detach(), w, atol=1e-6)
    assert bowl.calls == 2
    g = torch.tensor([1.0, 4.0])
    g_v = g_s - (g_s @ g) / 17 * g
    g2 = w * torch.tensor([1.0, 4.0])
    expected = w - 0.1 * (g2 + 0.5 * g2.norm() / g_v.norm() * g_v)
    rule.step(model, batch, optimizer)
    assert torch.allclose(bowl.w.detach(), expected, atol=1e-6)
    assert bowl.calls == 3  # one pass only


def test_period_one_is_sam():
    model, batches = make_model(), [make_batch(seed=s) for s in (1, 2, 3)]
    a = steps(model, build_method("look_sam", rho=0.2, period=1), batches)
    assert distance(a, steps(model, build_method("sam", rho=0.2), batches)) < 1e-6
    b = steps(model, build_method("look_sam", rho=0.2, period=3), batches)
    assert distance(a, b) > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rho": -1}, "rho=-1"), ({"alpha": -1}, "alpha=-1"), ({"period": 0}, "period=0")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        build_method("look_sam", **options)
