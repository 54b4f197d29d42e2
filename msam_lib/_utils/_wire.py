"""What ranks send each other: sums, and what the first one has. All over torch's default group."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value")


def ranks() -> int:
    """How many processes there are; 1 where torch.distributed has not been initialised."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def number() -> int:
    """This process' number."""
    return dist.get_rank()


def barrier() -> None:
    """Wait for all."""
    dist.barrier()


def all_reduced(x: Tensor) -> Tensor:
    """The sum over all ranks, bit for bit the same on each."""
    out = _sendable(x)
    dist.all_reduce(out)
    return out.to(x.device)


def broadcast(x: Tensor) -> None:
    """Overwrite with the first rank's."""
    out = _sendable(x)
    dist.broadcast(out, src=0)
    x.copy_(out)


def from_first(value: Value) -> Value:
    """The first rank's value; it is pickled."""
    held = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def _sendable(x: Tensor) -> Tensor:
    """A contiguous copy, where the group can send it."""
    x = x.to("cuda") if dist.get_backend() == "nccl" else x
    return x.clone(memory_format=torch.contiguous_format)
