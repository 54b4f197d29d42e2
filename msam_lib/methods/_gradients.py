"""Gradients: the one door through which every method gets them.

Under several processes a single all-reduce in `backward` and `gradients` would make every method
exact, so no method calls autograd on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from msam_lib.models.base import Model
from msam_lib.models.multimodal import MultimodalModel


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are being trained."""
    return [p for p in model.parameters() if p.requires_grad]


def forget(module: nn.Module) -> None:
    """Forget the gradients of a module's parameters."""
    for p in module.parameters():
        p.grad = None


def backward(loss: Tensor) -> None:
    """Add the gradient of `loss` to every parameter's `.grad`."""
    loss.backward()


def gradients(
    loss: Tensor,
    parameters: Sequence[Tensor],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> list[Tensor]:
    """The gradient of `loss` for these parameters only, zeros where it does not depend on one."""
    keep = retain_graph or create_graph
    found = torch.autograd.grad(
        loss, parameters, allow_unused=True, retain_graph=keep, create_graph=create_graph
    )
    pairs = zip(found, parameters, strict=True)
    return [torch.zeros_like(p) if g is None else g for g, p in pairs]


def with_gradient(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Those that have a gradient now."""
    return [p for p in parameters if p.grad is not None]


def grads_of(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The gradients of these parameters, without those that have none."""
    return [p.grad for p in parameters if p.grad is not None]


def grads_or_zeros(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The gradients of these parameters, zeros where there is none."""
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all tensors taken as one vector."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(tensors))))


def scale(tensors: Sequence[Tensor], factor: Tensor | float) -> None:
    """Multiply every tensor by the factor, in place."""
    if isinstance(factor, Tensor):
        factor = factor.to(tensors[0].dtype)
    torch._foreach_mul_(list(tensors), factor)


def times(loss: Tensor, factor: Tensor | float) -> Tensor:
    """The loss times a number, in the loss' own precision."""
    return loss * (factor.to(loss.dtype) if isinstance(factor, Tensor) else factor)


def own_parameters(model: Model, modality: str) -> list[nn.Parameter]:
    """A modality's encoder and its own heads: late fusion's, and the one beside the fusion."""
    out = model.parameters_of(modality)
    if isinstance(model, MultimodalModel):
        for heads in (getattr(model.fusion, "heads", None), model.heads):
            out = out if heads is None else [*out, *heads[modality].parameters()]
    return out
