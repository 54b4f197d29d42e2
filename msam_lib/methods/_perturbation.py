"""Weights perturbed temporarily and restored bit for bit: `with displaced(parameters, eps):`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import total_norm
from msam_lib.models.base import Model
from msam_lib.models.contexts import RandomState, frozen_statistics


@contextmanager
def displaced(parameters: Sequence[nn.Parameter], eps: Sequence[Tensor]) -> Iterator[None]:
    """Inside, the weights are theta + eps; afterwards they are theta, bit for bit, whatever
    happened.

    (theta + eps) - eps is not theta in floating point, so a copy is kept: one more copy of the
    weights, in no state that is ever saved.
    """
    with torch.no_grad():
        before = [p.clone() for p in parameters]
        if before:
            torch._foreach_add_(list(parameters), list(eps))
    del eps  # with the caller's own reference gone, the memory is free for the second pass
    try:
        yield
    finally:
        with torch.no_grad():
            if before:
                torch._foreach_copy_(list(parameters), before)


class SecondPass:
    """The second pass of a sharpness-aware step: the gradient of the *same* function at other
    weights, so dropout repeats the masks of the first pass, and batch-norm statistics, which the
    first pass has advanced, stand still.

    On several ranks the first pass' gradient is that of the whole batch or, with `sync="local"`, of
    the rank's own part ("m-sharpness", Foret et al. 2021, section 4.1): `backward(loss,
    over=second.first)`, and `over=second.last` for the pass whose gradient is followed.

    Args:
        model, batch: of the step. Made before its first pass, whose random state it keeps.
    """

    def __init__(self, model: Model, batch: Batch) -> None:
        self.model = model
        self.randomness = RandomState(model, batch.targets.device)
        # sync="local": the first pass is the rank's own, and what is followed is averaged later
        self.first, self.last = ("rank", "rest") if world.local else ("ranks", "ranks")

    def settle(self) -> None:
        """The gradients of the first pass become those of all ranks, if they were the rank's own:
        after the perturbation has been made of them, where they are followed, too.
        """
        if world.local:
            world.reduce_gradients()

    @contextmanager
    def at(self, parameters: Sequence[nn.Parameter], eps: Sequence[Tensor]) -> Iterator[None]:
        """Inside, the weights are theta + eps; see `displaced`."""
        perturbed = displaced(parameters, eps)
        del eps  # `displaced` gives the memory free
        with perturbed, frozen_statistics(self.model), self.randomness.replay():
            yield


@torch.no_grad()
def ascent(grads: Sequence[Tensor], rho: float | Tensor) -> list[Tensor]:
    """SAM's perturbation eps = rho * g / ||g||, the norm over all tensors together; zero where g is
    zero.
    """
    norm = total_norm(grads)
    rho = rho.to(norm.dtype) if isinstance(rho, Tensor) else rho
    scale = torch.where(norm > 0, rho / norm, torch.zeros_like(norm))
    return list(torch._foreach_mul(list(grads), scale))


@torch.no_grad()
def adaptive_ascent(
    parameters: Sequence[Tensor], grads: Sequence[Tensor], rho: float, eta: float
) -> list[Tensor]:
    """ASAM's perturbation eps = rho * T^2 g / ||T g|| with T = |theta| + eta, element by
    element.
    """
    sizes = torch._foreach_abs([p.detach() for p in parameters])
    torch._foreach_add_(sizes, eta)  # T
    scaled = torch._foreach_mul(sizes, list(grads))  # T g
    return list(torch._foreach_mul(sizes, ascent(scaled, rho)))  # T (rho T g / ||T g||)


def momentum_of(optimizer: Optimizer, parameter: nn.Parameter) -> Tensor | None:
    """The optimizer's running mean of this parameter's gradient, None where it keeps none (yet)."""
    state = optimizer.state.get(parameter, {})
    return state.get("momentum_buffer", state.get("exp_avg"))
