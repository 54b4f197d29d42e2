"""The containers of every data set: `Batch`, `MultimodalDataset`, `DataSplits`, `BatchLoader`.

All data sets of this project fit in memory, so a data set is a dictionary of tensors and a batch is
one indexing operation per modality: no worker processes, no collation, the same bytes for the same
seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from msam_lib.errors import MsamError, unknown_name

KINDS = ("image", "spectrogram", "sequence", "characters", "vector")


class Batch(NamedTuple):
    """One mini-batch: inputs `{modality: (N, ...)}`, targets `(N,)` and the samples' indices
    `(N,)`.

    >>> Batch({"x1": torch.zeros(2, 3)}, torch.tensor([0, 1])).index is None
    True
    """

    inputs: dict[str, Tensor]
    targets: Tensor
    index: Tensor | None = None  # type: ignore[assignment] # hides tuple.index

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`."""
        inputs = {m: x.to(device, non_blocking=True) for m, x in self.inputs.items()}
        index = None if self.index is None else self.index.to(device)
        return Batch(inputs, self.targets.to(device, non_blocking=True), index)


@dataclass(frozen=True)
class Modality:
    """Kind and shape of one modality's samples, for which an encoder is built.

    Args:
        kind: one of `KINDS`. `image` and `spectrogram` are (C, H, W), `sequence` is (T, D),
            `characters` is (T,) of integers in [0, vocabulary), `vector` is (D,).
        shape: shape of one sample, without the batch dimension.
        vocabulary: number of symbols, for `characters` only (0 is padding).
    """

    kind: str
    shape: tuple[int, ...]
    vocabulary: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r} is unknown; use one of {', '.join(KINDS)}.")


@dataclass(frozen=True)
class MultimodalDataset:
    """Samples of one split: `inputs[m]` is (N, ...), `targets` is (N,); all in memory.

    Raises:
        ValueError: the modalities have different numbers of samples.
    """

    inputs: dict[str, Tensor]
    targets: Tensor

    def __post_init__(self) -> None:
        sizes = {m: len(x) for m, x in self.inputs.items()} | {"targets": len(self.targets)}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"Every modality needs the same number of samples; found {sizes}.")

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int | slice | Tensor | Sequence[int]) -> Batch:
        index = torch.arange(len(self))[index]
        return Batch({m: x[index] for m, x in self.inputs.items()}, self.targets[index], index)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the data set's order."""
        return tuple(self.inputs)

    def subset(self, index: Tensor | Sequence[int]) -> MultimodalDataset:
        """The samples at `index`, in that order."""
        index = torch.as_tensor(index, dtype=torch.long)
        return MultimodalDataset({m: x[index] for m, x in self.inputs.items()}, self.targets[index])

    def select(self, modalities: Sequence[str]) -> MultimodalDataset:
        """The same samples with only the named modalities."""
        missing = [m for m in modalities if m not in self.inputs]
        if missing:
            raise ValueError(f"modalities {missing} are not here; there are {self.modalities}.")
        return MultimodalDataset({m: self.inputs[m] for m in modalities}, self.targets)


@dataclass(frozen=True)
class DataSplits:
    """A loaded data set: three splits, kinds of the modalities, classes and provenance.

    Args:
        name: as in `msam_lib.catalogue`, e.g. `"digits"`.
        train, val, test: the splits. `val` is taken from the training material (but see `mosi`) and
            shares no sample with the test split.
        modalities: `{name: Modality}` in order.
        classes: class names; their number is the number of classes.
        provenance: sources and licences, what is real and what synthesised, as sentences.
        recipe: the options that determine this data set; part of the hash of a run.
    """

    name: str
    train: MultimodalDataset
    val: MultimodalDataset
    test: MultimodalDataset
    modalities: Mapping[str, Modality]
    classes: tuple[str, ...]
    provenance: str
    recipe: Mapping[str, object] = field(default_factory=dict)

    def replace(self, **changes: object) -> DataSplits:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


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
        batch_size: int = 64,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool | str = False,
    ) -> None:
        if len(dataset) == 0:
            raise MsamError("The data set is empty: there is nothing to iterate over.")
        if batch_size < 1:
            raise MsamError(f"batch_size={batch_size}; it must be at least 1.")
        if drop_last not in (True, False, "single"):
            raise MsamError(f"drop_last={drop_last!r} is unknown; use True, False or 'single'.")
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
        # A copy is a sample of the data set whose modalities are multiplied by 0 or 1.
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


def choose_modalities(
    requested: Sequence[str] | None, available: Sequence[str], default: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The modalities that a loader returns, in the order requested; all or `default` for None.

    >>> choose_modalities(None, ["audio", "visual", "text"], ["audio", "visual"])
    ('audio', 'visual')

    Raises:
        MsamError: an unknown name, a name given twice, or none at all.
    """
    if requested is None:
        return tuple(available if default is None else default)
    names = (requested,) if isinstance(requested, str) else tuple(requested)
    for name in names:
        if name not in available:
            raise unknown_name("modality", name, available)
    if not names or len(set(names)) != len(names):
        raise MsamError(f"modalities={names}; name each at most once: {', '.join(available)}.")
    return names
