"""`BatchLoader`: shuffled mini-batches of a split, and samples shown once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from msam_lib._utils.arguments import checked
from msam_lib._utils.options import Choice, Count, WholeNumber
from msam_lib.data.containers import Batch, MultimodalDataset
from msam_lib.errors import MsamError


class Copies(NamedTuple):
    """Samples shown once more in an epoch, with some modalities zeroed.

    Args:
        index: (K,) indices of the samples.
        keep: (K, M) booleans, False where a modality is zeroed.
        modalities: names of the columns of `keep`.
        zero: `"inputs"`, by the loader; or `"features"`, by the method: the loader shows the copies
            whole and numbers them beyond the data set in `Batch.index`.
    """

    index: Tensor  # type: ignore[assignment] # hides tuple.index
    keep: Tensor
    modalities: tuple[str, ...]
    zero: str = "inputs"


@checked
class BatchLoader:
    """Iterates over a `MultimodalDataset` in mini-batches, shuffled by (seed, epoch) alone.

    The order of an epoch depends on the seed and its number only, so a resumed run sees the same
    batches as an uninterrupted one. Call `set_epoch` before each pass (the `Trainer` does).

    Args:
        dataset: the samples.
        batch_size: samples per batch.
        shuffle: a new order each epoch.
        seed: of the shuffling.
        drop_last: `True` leaves out a last batch that is smaller; `"single"` leaves it out only
            when it has one sample, which batch normalisation cannot train on; `False` (default)
            keeps it.

    Raises:
        MsamError: the data set is empty, or an argument has a value that is not allowed.
    """

    def __init__(
        self,
        dataset: MultimodalDataset,
        batch_size: Count = 64,
        *,
        shuffle: bool = False,
        seed: WholeNumber = 0,
        drop_last: bool | Annotated[str, Choice(("single",))] = False,
    ) -> None:
        if len(dataset) == 0:
            raise MsamError("The data set is empty: there is nothing to iterate over.")
        self.dataset, self.batch_size = dataset, batch_size
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.epoch = 0
        self.copies: Copies | None = None  # of the next pass; a method may set them

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the epoch, which determines the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        more = 0 if self.copies is None else len(self.copies.index)
        full, rest = divmod(len(self.dataset) + more, self.batch_size)
        dropped = rest == 0 or self.drop_last is True or (self.drop_last == "single" and rest == 1)
        return full if dropped else full + 1

    def __iter__(self) -> Iterator[Batch]:
        order = torch.arange(len(self.dataset))
        if self.copies is not None:
            order = torch.arange(len(self.dataset) + len(self.copies.index))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = order[torch.randperm(len(order), generator=generator)]
        for number in range(len(self)):
            yield self._batch(order[number * self.batch_size : (number + 1) * self.batch_size])

    def _batch(self, index: Tensor) -> Batch:
        """The samples of these numbers (B,); numbers beyond the data set are copies."""
        if self.copies is None:
            return self.dataset[index]
        # A copy is a sample of the data set with modalities zeroed, here or by the method.
        n = len(self.dataset)
        whole = torch.cat([torch.arange(n), self.copies.index])
        batch, extra = self.dataset[whole[index]], index >= n
        if self.copies.zero == "features":
            return batch._replace(index=index)
        rows = self.copies.keep[(index - n).clamp_min(0)] | ~extra[:, None]  # (B, M)
        inputs = dict(batch.inputs)
        for m, kept in zip(self.copies.modalities, rows.T, strict=True):
            x = inputs[m]
            inputs[m] = x * kept.to(x).view(-1, *[1] * (x.dim() - 1))
        return batch._replace(inputs=inputs)
