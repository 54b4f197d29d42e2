"""A step on a batch that comes in parts: the memory of one part, the result of the whole.

Inside `micro_batches` the encoders see one part at a time, keep no activations, and compute them
once more when the backward pass asks for them (gradient checkpointing; Chen et al. 2016, arXiv
1604.06174). Everything behind the features sees the whole batch, so that a method whose decisions
depend on statistics of the batch takes exactly the step that it takes on the whole one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from msam_lib.models.base import Model


@contextmanager
def micro_batches(owner: Model, sizes: Sequence[int]) -> Iterator[None]:
    """Inside, `in_parts(owner, ...)` works in parts of these sizes.

    Args:
        owner: the model; one part or none changes nothing.
        sizes: samples in each part, in order.
    """
    before = owner.micro_sizes
    owner.micro_sizes = tuple(sizes) if len(sizes) > 1 else ()
    try:
        yield
    finally:
        owner.micro_sizes = before


def in_parts(
    owner: Model, module: nn.Module, call: Callable[..., Tensor], *inputs: Tensor
) -> Tensor:
    """`call(*inputs)`, part by part where `owner` works in parts of these inputs' length.

    Batch normalisation uses each part's own statistics, as with any accumulation of gradients; its
    running statistics advance in the first pass only. Other random numbers (dropout) are drawn
    part by part, and repeated when a part is computed again.

    Args:
        owner: the model, whose `micro_batches` are meant.
        module: what is called, for its batch norms.
        call: a function of the inputs' parts, returning (N, D).
        inputs: tensors (N, ...).
    """
    sizes = owner.micro_sizes
    if not sizes or sum(sizes) != len(inputs[0]):
        return call(*inputs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _RestoredStatistics(module)

    parts = []
    for part in zip(*(x.split(list(sizes)) for x in inputs), strict=True):
        # Only the features stay; the backward pass computes the part once more.
        if torch.is_grad_enabled():
            parts.append(checkpoint(call, *part, use_reentrant=False, context_fn=contexts))
        else:
            parts.append(call(*part))
    return torch.cat(parts)


class _RestoredStatistics:
    """Batch norm runs as in the first pass, and its running statistics are put back afterwards.

    A class, because it is entered once for every backward pass through the same graph.
    """

    def __init__(self, module: nn.Module) -> None:
        # The second computation of a part must not advance them again.
        norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
        self.buffers = [b for m in norms for b in m.buffers()]
        self.before: list[list[Tensor]] = []

    def __enter__(self) -> None:
        self.before.append([b.clone() for b in self.buffers])

    def __exit__(self, *error: object) -> None:
        with torch.no_grad():
            for b, old in zip(self.buffers, self.before.pop(), strict=True):
                b.copy_(old)
