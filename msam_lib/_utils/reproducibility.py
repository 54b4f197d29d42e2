"""Seeds, devices, and the record of the environment of a run."""

from __future__ import annotations

import os
import platform
import random
from typing import Any

import numpy as np
import torch

from msam_lib._utils.source import source_commit
from msam_lib.errors import MsamError


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch (all devices); returns a fresh torch generator with the same
    seed.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """The device of that name; `"auto"` takes cuda, else mps, else cpu.

    Raises:
        MsamError: that device is not available.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(name for name, usable in available.items() if usable))
    kind = str(device).partition(":")[0]
    if not available.get(kind, False):
        names = ", ".join(name for name, usable in available.items() if usable)
        raise MsamError(
            f"device={str(device)!r} is not available here; there is: {names}. Use device='auto'."
        )
    return torch.device(device)


def pick_precision(precision: str, device: torch.device) -> torch.dtype | None:
    """The type for autocast, None for full precision; `"auto"` takes bfloat16 on a CUDA device that
    supports it.

    Raises:
        MsamError: an unknown precision.
    """
    if precision == "auto":
        has = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if has else None
    if precision not in ("float32", "bfloat16"):
        raise MsamError(f"precision={precision!r}; use 'auto', 'float32' or 'bfloat16'.")
    return torch.bfloat16 if precision == "bfloat16" else None


def environment_record(device: torch.device) -> dict[str, Any]:
    """The environment of a run, for its provenance: versions, machine, device, threads, commit."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": str(device),
        "device_name": name or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "commit": source_commit(),
    }
