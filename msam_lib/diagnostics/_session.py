"""How a model runs while it is examined, and how it is given back.

A diagnostic is a property of one function, f(θ) = mean over the samples of the loss. So dropout is
always off, and the mode of batch normalisation is part of the question: `mode="eval"` uses the
running statistics, `mode="train"` the statistics of each mini-batch (f then depends on the batch
size).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from types import ModuleType

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from msam_lib.errors import unknown_name
from msam_lib.models.contexts import frozen_statistics

try:
    attention: ModuleType | None = import_module("torch.nn.attention")
except ImportError:  # torch 2.2 does not have it yet
    attention = None

MODES = ("eval", "train")


def check_mode(mode: str) -> str:
    """`mode`, if it is one."""
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    return mode


@contextmanager
def session(
    model: nn.Module, *, mode: str = "eval", parameters: Iterable[nn.Parameter] | None = None
) -> Iterator[None]:
    """Examine a model: dropout off, batch norm as `mode` says, full precision, only `parameters`
    differentiable.

    Afterwards every `.grad`, `requires_grad`, training flag and buffer is what it was, whatever
    happened.
    """
    check_mode(mode)
    # What has to be restored; buffers by value, since a forward pass changes them in place.
    modes = [(m, m.training) for m in model.modules()]
    state = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    buffers = [(b, b.clone()) for b in model.buffers()]
    chosen = None if parameters is None else {id(p) for p in parameters}
    try:
        with ExitStack() as stack:
            for m, _ in modes:
                # Only batch norm may train: dropout stays off in both modes.
                m.training = mode == "train" and isinstance(m, _BatchNorm)
            if mode == "train":
                # Statistics of the batch, without a trace in the running ones.
                stack.enter_context(frozen_statistics(model))
            for p, _, _ in state:
                # Set aside, not zeroed: the caller's gradients come back as they were.
                p.grad = None
                p.requires_grad_(p.is_floating_point() and (chosen is None or id(p) in chosen))
            # Derivatives of half-precision products would be too coarse.
            for kind in {p.device.type for p, _, _ in state} & {"cuda", "cpu"}:
                stack.enter_context(torch.autocast(kind, enabled=False))
            if chosen is None or chosen:  # values alone may use the fast kernel
                stack.enter_context(differentiable_attention())
            stack.enter_context(torch.enable_grad())
            yield
    finally:
        for m, flag in modes:
            m.training = flag
        for p, flag, grad in state:
            p.requires_grad_(flag)
            p.grad = grad
        with torch.no_grad():
            for b, old in buffers:
                # Buffers that did not change are not written to.
                if not torch.equal(b, old):
                    b.copy_(old)


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """The fused attention kernels have no second derivative; the plain one has."""
    if attention is None:
        yield
        return
    with attention.sdpa_kernel(attention.SDPBackend.MATH):
        yield
