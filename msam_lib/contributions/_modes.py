"""Which modules do in training mode what they do in evaluation mode, so that what one pass computed
need not be computed again for the other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.rnn import RNNBase

from msam_lib.models import multimodal, wrapped
from msam_lib.models.encoders import base, convolutional, recurrent, transformers
from msam_lib.models.fusions import additive, early

# The modules of these files are known not to ask for their mode; only what they hold may.
FILES = (base, convolutional, recurrent, transformers, multimodal, wrapped, additive, early)
KNOWN = tuple(m.__name__ for m in FILES)


def depends_on_mode(module: nn.Module) -> bool:
    """Whether the module may answer otherwise in evaluation mode than in the mode it is in.

    Batch normalisation and dropout do. Somebody else's module may ask for its mode anywhere, and so
    may a hook: they count as if they did.
    """
    waiting: list[nn.Module | None] = [module]
    while waiting:
        part = waiting.pop()
        if part is None:
            continue
        if part.training:
            kind: Any = type(part)
            asks = _asks(kind)
            if asks is True or hooked(part) or (asks and getattr(part, asks) > 0):
                return True
        waiting.extend(part._modules.values())
    return False


@lru_cache(maxsize=256)
def _asks(kind: type) -> bool | str:
    """Whether modules of this class ask for their mode; or the option that must be 0 so that they
    do not.
    """
    if issubclass(kind, _DropoutNd):
        return "p"
    if issubclass(kind, nn.MultiheadAttention | RNNBase):
        return "dropout"
    if issubclass(kind, _NormBase | nn.RReLU):
        return True
    return not kind.__module__.startswith("torch.nn.modules.") and kind.__module__ not in KNOWN


def hooked(module: nn.Module) -> bool:
    """Whether a call of the module runs more than its `forward`."""
    return bool(module._forward_pre_hooks or module._forward_hooks)


def couples_samples(module: nn.Module) -> bool:
    """Whether a sample's answer depends on its neighbours even in evaluation mode, as it does where
    batch normalisation keeps no running statistics.
    """
    return any(isinstance(m, _BatchNorm) and m.running_mean is None for m in module.modules())
