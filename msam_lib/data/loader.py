"""`BatchLoader`: shuffled mini-batches of a split, and samples shown once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from msam_lib._utils.arguments import checked
from msam_lib._utils.options import Choice, Count, WholeNumber
from msam_lib.data.containers import Batch, MultimodalDataset
from msam_lib.data.stored import BLOCK, Draw
from msam_lib.errors import MsamError

MEASURED = 500  # samples at a time where nothing is trained
AHEAD = 2  # batches read in advance, where samples are on disk
PADDING = -1  # the index of samples that do not count: a rank has none of this batch


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

    Samples on disk are read by a thread while the batch before is trained on, into page-locked
    memory where there is a GPU; samples in memory need neither.

    Args:
        dataset: the samples.
        batch_size: samples per batch; None takes 500, or as many as fit 64 MiB where these are
            fewer, for measurements in which the size of a batch changes nothing.
        shuffle: a new order each epoch.
        seed: of the shuffling, and of how samples are varied.
        augment: vary samples on disk as their transform says, each by (seed, epoch, its row)
            alone; by default where the order is shuffled.
        rank, ranks: on several ranks, which one this is of how many: it gets its rows of a batch
            that is the same for any number of ranks. Parts are consecutive and of two samples or
            more, as batch normalisation needs; a rank that is left without gets samples that do not
            count, with index `PADDING`.
        drop_last: `True` leaves out a last batch that is smaller; `"single"` leaves it out only
            when it has one sample, which batch normalisation cannot train on; `False` (default)
            keeps it.

    Raises:
        MsamError: the data set is empty, or an argument has a value that is not allowed.
    """

    def __init__(
        self,
        dataset: MultimodalDataset,
        batch_size: Count | None = 64,
        *,
        shuffle: bool = False,
        seed: WholeNumber = 0,
        augment: bool | None = None,
        drop_last: bool | Annotated[str, Choice(("single",))] = False,
        rank: WholeNumber = 0,
        ranks: Count = 1,
    ) -> None:
        if len(dataset) == 0:
            raise MsamError("The data set is empty: there is nothing to iterate over.")
        if batch_size is None:
            batch_size = min(MEASURED, max(1, BLOCK // max(1, dataset.sample_bytes)))
        self.dataset, self.batch_size = dataset, batch_size
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.augment = shuffle if augment is None else augment
        self.rank, self.ranks = rank, ranks
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
        parts = (
            order[number * self.batch_size : (number + 1) * self.batch_size]
            for number in range(len(self))
        )
        draw = (self.seed, self.epoch) if self.augment else None
        if self.dataset.on_disk:
            yield from self._ahead(parts, draw)
            return
        for index in parts:
            yield self._part(index, draw)

    def _part(self, index: Tensor, draw: Draw | None) -> Batch:
        """This rank's part of the batch of these samples."""
        if self.ranks == 1:
            return self._batch(index, draw)
        parts = index.tensor_split(max(1, min(self.ranks, len(index) // 2)))
        if self.rank < len(parts):
            return self._batch(parts[self.rank], draw)
        batch = self._batch(index[:2], draw)
        return batch._replace(index=torch.full((len(batch.targets),), PADDING))

    def _ahead(self, parts: Iterable[Tensor], draw: Draw | None) -> Iterator[Batch]:
        """The batches of these numbers, each read in a thread while the one before is used."""
        pin = torch.cuda.is_available()
        waiting: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(1, thread_name_prefix="batches")

        def read(index: Tensor) -> Batch:
            batch = self._part(index, draw)
            return batch.pinned() if pin else batch

        try:
            for index in parts:
                waiting.append(pool.submit(read, index))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also where the loop over batches ends early
            pool.shutdown(cancel_futures=True)

    def _batch(self, index: Tensor, draw: Draw | None) -> Batch:
        """The samples of these numbers (B,); numbers beyond the data set are copies."""
        if self.copies is None:
            return self.dataset.batch(index, draw)
        # A copy is a sample of the data set with modalities zeroed, here or by the method.
        n = len(self.dataset)
        whole = torch.cat([torch.arange(n), self.copies.index])
        batch, extra = self.dataset.batch(whole[index], draw), index >= n
        if self.copies.zero == "features":
            return batch._replace(index=index)
        rows = self.copies.keep[(index - n).clamp_min(0)] | ~extra[:, None]  # (B, M)
        inputs = dict(batch.inputs)
        for m, kept in zip(self.copies.modalities, rows.T, strict=True):
            x = inputs[m]
            inputs[m] = x * kept.to(x).view(-1, *[1] * (x.dim() - 1))
        return batch._replace(inputs=inputs)
