"""Functions with known curvature, and a fingerprint of everything a diagnostic must leave alone."""

from __future__ import annotations

import torch
from torch import nn

from msam_lib.data import Batch
from msam_lib.diagnostics import Sampling
from msam_lib.models import Model

EMPTY = Batch({}, torch.zeros(1))  # for losses that read no data


class Bowl(Model):
    """f(w) = ½ (w − c)ᵀ H (w − c) + f₀, with w in two blocks `a` and `b`."""

    def __init__(
        self, hessian: torch.Tensor, at: torch.Tensor, centre=None, floor: float = 0.0
    ) -> None:
        super().__init__(["a"])
        half = len(at) // 2
        self.a, self.b = nn.Parameter(at[:half].clone()), nn.Parameter(at[half:].clone())
        self.register_buffer("hessian", hessian)
        self.register_buffer("centre", torch.zeros_like(at) if centre is None else centre)
        self.floor = floor

    def blocks(self):
        return {"a": {"a": self.a}, "fusion": {"b": self.b}, "nothing": {}}

    @staticmethod
    def loss(model, _batch):
        w = torch.cat([model.a, model.b]) - model.centre
        return 0.5 * (w @ model.hessian @ w) + model.floor


BOWL = Sampling(loss=Bowl.loss)


def random_symmetric(n: int, seed: int = 0, positive: bool = False) -> torch.Tensor:
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a @ a.T / n if positive else (a + a.T) / 2


def fingerprint(model: nn.Module) -> list:
    """Bits of the weights and buffers, gradients (by identity), flags and modes."""
    return [
        [(n, p.detach().clone(), p.requires_grad, p.grad) for n, p in model.named_parameters()],
        [(n, b.clone()) for n, b in model.named_buffers()],
        [m.training for m in model.modules()],
    ]


def assert_untouched(model: nn.Module, before: list) -> None:
    after = fingerprint(model)
    for (n, w, flag, grad), (_, w2, flag2, grad2) in zip(before[0], after[0], strict=True):
        assert torch.equal(w.nan_to_num(7), w2.nan_to_num(7)), n
        assert flag == flag2, n
        assert grad is grad2, n
    for (n, b), (_, b2) in zip(before[1], after[1], strict=True):
        assert torch.equal(b, b2), n
    assert before[2] == after[2]


def disturb(model: nn.Module) -> None:
    """A state that is easily lost: mixed modes, one frozen parameter, old gradients."""
    model.train()
    model.fusion.eval()
    for i, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, 3.0) if i % 2 else None
    next(model.parameters()).requires_grad_(False)
