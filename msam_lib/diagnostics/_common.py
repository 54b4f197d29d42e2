"""What every diagnostic stands on: fixed data, a deterministic loss, blocks of parameters, no
traces left.

A diagnostic is a property of one function, f(θ) = mean over the samples of the loss. So dropout is
always off, the samples are a fixed set, and the mode of batch normalisation is part of the
question: `mode="eval"` uses the running statistics, `mode="train"` the statistics of each
mini-batch (f then depends on `batch_size`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from msam_lib.data.base import Batch, BatchLoader, MultimodalDataset
from msam_lib.errors import MsamError, NonFiniteLoss, unknown_name
from msam_lib.models.modes import frozen_statistics

Loss = Callable[[nn.Module, Batch], Tensor]  # the mean loss of a batch, a scalar
Data = MultimodalDataset | BatchLoader | Batch | Iterable[Any]
Block = str | Sequence[str]
Direction = dict[str, Tensor]  # by parameter name; a name that is missing does not move

MODES = ("eval", "train")


def logits_of(model: nn.Module, batch: Batch) -> Tensor:
    """The fused logits (N, C)."""
    out = model(batch.inputs)
    return out if isinstance(out, Tensor) else out.logits


def fused_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy of the fused logits, in nats."""
    return F.cross_entropy(logits_of(model, batch), batch.targets)


def unimodal_loss(modality: str) -> Loss:
    """Cross-entropy of one modality's own logits, or, where it has none, with the other modalities
    absent.
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        own = model(batch.inputs).unimodal.get(modality)
        if own is None:
            own = model(batch.inputs, present=(modality,)).logits
        return F.cross_entropy(own, batch.targets)

    return loss


# --- data ----------------------------------------------------------------------------------------


def collect(
    model: nn.Module,
    data: Data,
    *,
    samples: int | None = None,
    batch_size: int = 500,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> list[Batch]:
    """The fixed mini-batches of a diagnostic, on the model's device.

    Args:
        model: whose device (and, with `dtype`, precision) the batches are brought to.
        data: a data set; a `BatchLoader` (its data set is taken, in order); one `Batch`; or any
            iterable of batches or `(inputs, targets)` pairs.
        samples: take only so many of a data set, drawn once with `seed`; None takes all.
        batch_size: samples at a time, where `data` is a data set. It bounds the memory.
        seed: of the draw.
        dtype: of the floating-point inputs.

    Raises:
        MsamError: no samples, or an argument that is not allowed.
    """
    if batch_size < 1 or (samples is not None and samples < 1):
        raise MsamError(f"batch_size={batch_size}, samples={samples}; both must be at least 1.")
    if isinstance(data, BatchLoader):
        data = data.dataset
    if isinstance(data, Batch):
        batches = [data]
    elif isinstance(data, MultimodalDataset):
        if samples is not None and samples < len(data):
            order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
            data = data.subset(order[:samples].sort().values)
        batches = [data[i : i + batch_size] for i in range(0, len(data), batch_size)]
    else:
        batches = [b if isinstance(b, Batch) else Batch(*b) for b in data]  # type: ignore[misc]
    batches = [b for b in batches if len(b.targets)]
    if not batches:
        raise MsamError(
            "The data is empty: a diagnostic needs at least one sample. Pass a data set, a "
            "BatchLoader or a Batch."
        )
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    batches = [b.to(device) for b in batches]
    return batches if dtype is None else [cast(b, dtype) for b in batches]


def cast(batch: Batch, dtype: torch.dtype) -> Batch:
    """The batch with its floating-point inputs (and targets, in a regression) in this precision."""
    convert = lambda x: x.to(dtype) if x.is_floating_point() else x  # noqa: E731
    inputs = {m: convert(x) for m, x in batch.inputs.items()}
    return Batch(inputs, convert(batch.targets), batch.index)


def shares(batches: Sequence[Batch]) -> list[float]:
    """Each batch's share of the samples."""
    total = sum(len(b.targets) for b in batches)
    return [len(b.targets) / total for b in batches]


# --- blocks --------------------------------------------------------------------------------------


# --- the session: how the model runs while it is examined, and how it is given back
# ------------------


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
    modes = [(m, m.training) for m in model.modules()]
    state = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    buffers = [(b, b.clone()) for b in model.buffers()]
    chosen = None if parameters is None else {id(p) for p in parameters}
    try:
        with ExitStack() as stack:
            for m, _ in modes:
                m.training = mode == "train" and isinstance(m, _BatchNorm)
            if mode == "train":
                stack.enter_context(frozen_statistics(model))
            for p, _, _ in state:
                p.grad = None
                p.requires_grad_(p.is_floating_point() and (chosen is None or id(p) in chosen))
            for kind in {p.device.type for p, _, _ in state} & {"cuda", "cpu"}:
                stack.enter_context(torch.autocast(kind, enabled=False))
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
                if not torch.equal(b, old):
                    b.copy_(old)


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """The fused attention kernels have no second derivative; the plain one has."""
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError:  # torch 2.2
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield


def finite(loss: Tensor | float, where: str = "") -> None:
    """Raise `NonFiniteLoss` where a loss is NaN or infinite."""
    value = float(loss)
    if value != value or value in (float("inf"), float("-inf")):
        raise NonFiniteLoss(
            f"The loss is {value}{where}: there is no curvature or sharpness to measure. "
            "Look for NaN in the "
            "inputs or the weights; `evaluate(model, data)` shows the loss on a split."
        )
