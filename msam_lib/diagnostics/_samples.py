"""The fixed set of samples that a diagnostic is measured on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from msam_lib.data.containers import Batch, BatchLoader, MultimodalDataset
from msam_lib.errors import MsamError

Data = MultimodalDataset | BatchLoader | Batch | Iterable[Any]


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
