"""What a diagnostic is measured on: a fixed set of samples, and the loss of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from msam_lib._utils.arguments import checked
from msam_lib._utils.options import Choice, Count
from msam_lib._utils.settings import Seed
from msam_lib.data.containers import Batch, MultimodalDataset
from msam_lib.data.loader import BatchLoader
from msam_lib.diagnostics._losses import Loss
from msam_lib.diagnostics._session import MODES
from msam_lib.errors import MsamError
from msam_lib.models.base import Model
from msam_lib.models.checks import check_batch

Data = MultimodalDataset | BatchLoader | Batch | Iterable[Any]


@checked
@dataclass(frozen=True)
class Sampling:
    """Which function of the weights is measured: the mean loss over which samples, computed how.

    Args:
        samples: how many of a data set's samples, drawn once with `seed`; None takes all.
        batch_size: samples at a time, where the data is a data set. It bounds the memory.
        mode: of batch normalisation, `"eval"` (running statistics) or `"train"` (statistics of each
            batch, so that the function depends on `batch_size`). Dropout is off in both.
        seed: of the draw of `samples`. Functions that draw something else (probes, directions,
            noise) have a separate `seed` for it; None, the default there, means this one.
        loss: `loss(model, batch) -> scalar`, the mean over the batch; None is the cross-entropy of
            the fused logits.

    Raises:
        MsamError: a number below 1, or an unknown mode.

    >>> Sampling(samples=300, seed=1).batch_size
    500
    """

    samples: Count | None = None
    batch_size: Count = 500
    mode: Annotated[str, Choice(MODES)] = "eval"
    seed: Seed = 0
    loss: Loss | None = None

    def must_keep(self, caller: str, *names: str) -> None:
        """Raise where one of these arguments was given, but has no effect on what `caller` does."""
        for name in names:
            value, default = getattr(self, name), getattr(Sampling, name)
            if value != default:
                raise MsamError(
                    f"Sampling({name}={value!r}) has no meaning for `{caller}`, which allows "
                    f"{default!r} only. Leave {name} out."
                )


ALL_SAMPLES = Sampling()  # every sample, in evaluation mode, cross-entropy


def collect(
    model: nn.Module,
    data: Data,
    sampling: Sampling = ALL_SAMPLES,
    *,
    dtype: torch.dtype | None = None,
    hold: bool = False,
) -> Sequence[Batch]:
    """The fixed mini-batches of a diagnostic, on the model's device.

    Samples on disk are read anew in each pass over the batches, unless `hold` is set.

    Args:
        model: whose device the batches are brought to.
        data: a data set; a `BatchLoader` (its data set is taken, in order); one `Batch`; or any
            iterable of batches or `(inputs, targets)` pairs.
        sampling: which samples of a data set, and how many at a time.
        dtype: of the floating-point inputs; None leaves them.
        hold: keep the batches in memory, for those who recognise them by their address.

    Raises:
        MsamError: no samples, or samples that do not fit the model.
    """
    first = next(model.parameters(), None)
    device = torch.device("cpu") if first is None else first.device
    if isinstance(data, BatchLoader):
        data = data.dataset
    if isinstance(data, Batch):
        batches = [data]
    elif isinstance(data, MultimodalDataset):
        count, size = sampling.samples, sampling.batch_size
        if count is not None and count < len(data):
            generator = torch.Generator().manual_seed(sampling.seed)
            # A fixed draw, kept in the order of the data set.
            order = torch.randperm(len(data), generator=generator)
            data = data.subset(order[:count].sort().values)
        if data.on_disk and not hold and len(data):
            if sampling.loss is None and isinstance(model, Model):
                check_batch(model, data[:1])  # the rest is alike, and not read in advance
            return FromDisk(data, size, device, dtype)
        batches = [data[i : i + size] for i in range(0, len(data), size)]
    else:
        batches = [_as_batch(b) for b in data]
    batches = [b for b in batches if len(b.targets)]
    if not batches:
        raise MsamError(
            "The data is empty: a diagnostic needs at least one sample. Pass a data set, a "
            "BatchLoader or a Batch."
        )
    # A loss of one's own may read other inputs and targets; the loss itself reports NaN.
    if sampling.loss is None and isinstance(model, Model):
        for b in batches:
            check_batch(model, b)
    batches = [b.to(device) for b in batches]
    return batches if dtype is None else [converted(b, dtype) for b in batches]


@dataclass(frozen=True)
class FromDisk(Sequence[Batch]):
    """The batches of samples on disk; each is read when it is asked for, and not kept."""

    data: MultimodalDataset
    size: int
    device: torch.device
    dtype: torch.dtype | None

    def __len__(self) -> int:
        return -(-len(self.data) // self.size)

    def __getitem__(self, number: Any) -> Any:
        first = range(len(self))[number] * self.size
        batch = self.data[first : first + self.size].to(self.device)
        return batch if self.dtype is None else converted(batch, self.dtype)


def _as_batch(b: Any) -> Batch:
    return b if isinstance(b, Batch) else Batch(*b)


def converted(batch: Batch, dtype: torch.dtype) -> Batch:
    """The batch with its floating-point inputs (and targets, in a regression) in this precision."""

    def convert(x: Tensor) -> Tensor:
        return x.to(dtype) if x.is_floating_point() else x

    inputs = {m: convert(x) for m, x in batch.inputs.items()}
    return Batch(inputs, convert(batch.targets), batch.index)


def shares(batches: Sequence[Batch]) -> list[float]:
    """Each batch's share of the samples."""
    if isinstance(batches, FromDisk):  # known without reading them
        n, size = len(batches.data), batches.size
        return [min(size, n - i) / n for i in range(0, n, size)]
    total = sum(len(b.targets) for b in batches)
    return [len(b.targets) / total for b in batches]
