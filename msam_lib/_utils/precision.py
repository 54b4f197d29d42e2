"""The precision in which losses and contributions are computed."""

from __future__ import annotations

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


def full(x: Tensor) -> Tensor:
    """Half precision becomes single; single and double stay what they are."""
    return x.float() if x.dtype in HALF else x
