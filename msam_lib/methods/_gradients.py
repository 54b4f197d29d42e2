"""Gradients: the one door through which every method gets them.

Under several processes a single all-reduce in `backward` and `gradients` would make every method
exact, so no method calls autograd on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are being trained."""
    return [p for p in model.parameters() if p.requires_grad]


def backward(loss: Tensor) -> None:
    """Add the gradient of `loss` to every parameter's `.grad`."""
    loss.backward()


def gradients(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """The gradient of `loss` for these parameters only, zeros where it does not depend on one."""
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    pairs = zip(found, parameters, strict=True)
    return [torch.zeros_like(p) if g is None else g for g, p in pairs]


def with_gradient(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Those that have a gradient now."""
    return [p for p in parameters if p.grad is not None]


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all tensors taken as one vector."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
