"""Gradients: the one door through which every method gets them.

On several ranks both `backward` and `gradients` average over all samples of the batch, so no method
calls autograd on its own. What a method makes of the batch beside gradients (scores, accuracies,
means) goes through `msam_lib._utils.world`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from msam_lib._utils.world import world
from msam_lib.models.base import Model
from msam_lib.models.multimodal import MultimodalModel


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are being trained."""
    return [p for p in model.parameters() if p.requires_grad]


def forget(module: nn.Module) -> None:
    """Forget the gradients of a module's parameters."""
    for p in module.parameters():
        p.grad = None


def backward(loss: Tensor, *, over: str = "ranks") -> None:
    """Add the gradient of `loss`, a mean over the rank's samples, to every parameter's `.grad`.

    Args:
        loss: scalar.
        over: on several ranks: `"ranks"` averages what is added over all of them, `"rank"` leaves
            it the rank's own, `"rest"` averages what is added together with what is the rank's own
            already.
    """
    if world.part is None or over == "rank":
        loss.backward()
        return
    if over == "rest":
        loss.backward()
        world.reduce_gradients()
        return
    before = [(p, p.grad) for p in world.part.parameters()]
    for p, _ in before:
        p.grad = None
    loss.backward()
    world.reduce_gradients()
    for p, old in before:
        if old is not None:
            p.grad = old if p.grad is None else old.add_(p.grad)


def gradients(
    loss: Tensor,
    parameters: Sequence[Tensor],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
    over: str = "ranks",
) -> list[Tensor]:
    """The gradient of `loss` for these parameters only, zeros where it does not depend on one.

    On several ranks it is averaged over all of them; `over="rank"` leaves it the rank's own, as
    where these are not parameters, but hold samples. With `create_graph` the values are of all
    ranks, while the graph is the rank's: `backward` of a mean over samples averages once more.
    """
    keep = retain_graph or create_graph
    found = torch.autograd.grad(
        loss, parameters, allow_unused=True, retain_graph=keep, create_graph=create_graph
    )
    pairs = zip(found, parameters, strict=True)
    out = [torch.zeros_like(p) if g is None else g for g, p in pairs]
    if world.part is None or over == "rank":
        return out
    means = world.means(out)
    if not create_graph:
        return means
    return [mean + (g - g.detach()) for mean, g in zip(means, out, strict=True)]


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
        for heads in (getattr(model.fusion.inner, "heads", None), model.heads):
            out = out if heads is None else [*out, *heads[modality].parameters()]
    return out
