"""The process group of a command that `torchrun` has started; torch is imported where there is
one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def launched() -> int:
    """How many processes a launcher has started for this command; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Inside, the processes that the launcher has started are one group: NCCL between CUDA devices,
    gloo else. A rank takes the CUDA device of its number on this machine.
    """
    if launched() == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("cpu:gloo,cuda:nccl")
    else:
        dist.init_process_group("gloo")
    try:
        yield
        dist.barrier()  # none leaves while another one still writes what the run is
    finally:
        dist.destroy_process_group()
