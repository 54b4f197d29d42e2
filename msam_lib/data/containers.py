"""The containers of every data set: `Batch`, `MultimodalDataset`, `DataSplits`.

A split is a view on samples: a tensor per modality where they fit in memory, a `StoredArray` where
they stay on disk. A batch is one indexing operation per modality: no worker processes, no
collation, the same bytes for the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from msam_lib.data.stored import Draw, StoredArray
from msam_lib.errors import MsamError, unknown_name
from msam_lib.tasks import Classification, Task

KINDS = ("image", "video", "spectrogram", "sequence", "characters", "vector")


class Batch(NamedTuple):
    """One mini-batch: inputs `{modality: (N, ...)}`, targets `(N,)` (or `(N, L)`, of L labels) and
    the samples' indices `(N,)`.

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

    def pinned(self) -> Batch:
        """The same batch in page-locked memory, from which copies to a GPU run beside the work."""
        inputs = {m: x.pin_memory() for m, x in self.inputs.items()}
        return Batch(inputs, self.targets.pin_memory(), self.index)


@dataclass(frozen=True)
class Modality:
    """Kind and shape of one modality's samples, for which an encoder is built.

    Args:
        kind: one of `KINDS`. `image` and `spectrogram` are (C, H, W), `video` is (T, C, H, W),
            `sequence` is (T, D), `characters` is (T,) of integers in [0, vocabulary), `vector` is
            (D,).
        shape: shape of one sample, without the batch dimension.
        vocabulary: number of symbols, for `characters` only.
        padding: the symbol that is none, for `characters` only.
    """

    kind: str
    shape: tuple[int, ...]
    vocabulary: int = 0
    padding: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise MsamError(f"kind={self.kind!r} is unknown; use one of {', '.join(KINDS)}.")


@dataclass(frozen=True)
class MultimodalDataset:
    """Samples of one split: `inputs[m]` is (N, ...), `targets` is (N,).

    Args:
        inputs: {modality: tensor in memory, or `StoredArray` on disk}. Both are indexed alike.
        targets: (N,), in memory.

    Raises:
        MsamError: no tensors, or the modalities have different numbers of samples.
    """

    inputs: Mapping[str, Tensor | StoredArray]
    targets: Tensor

    def __post_init__(self) -> None:
        for m, x in (*self.inputs.items(), ("targets", self.targets)):
            if not isinstance(x, Tensor | StoredArray) or not len(x.shape):
                raise MsamError(
                    f"{m} is a {type(x).__name__}; give a tensor of N samples, for example "
                    "torch.as_tensor(x)."
                )
        sizes = {m: len(x) for m, x in self.inputs.items()} | {"targets": len(self.targets)}
        if len(set(sizes.values())) != 1:
            raise MsamError(f"Every modality needs the same number of samples; found {sizes}.")

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{m} {tuple(x.shape[1:])}" for m, x in self.inputs.items())
        return f"MultimodalDataset({len(self)} samples: {shapes})"

    def __getitem__(self, index: int | slice | Tensor | Sequence[int]) -> Batch:
        index = torch.arange(len(self))[index]
        if index.dim() == 0:
            inputs = {m: x[int(index)] for m, x in self.inputs.items()}
            return Batch(inputs, self.targets[index], index)
        return self.batch(index)

    def batch(self, index: Tensor, draw: Draw | None = None) -> Batch:
        """The samples at `index` (B,), from 0 to N - 1.

        Args:
            index: (B,).
            draw: seed and epoch, for samples varied as in training (stored ones, if their
                transform does).
        """
        inputs = {
            m: x.read(index, draw) if isinstance(x, StoredArray) else x[index]
            for m, x in self.inputs.items()
        }
        return Batch(inputs, self.targets[index], index)

    @property
    def on_disk(self) -> bool:
        """Whether any modality is read from disk."""
        return any(isinstance(x, StoredArray) for x in self.inputs.values())

    @property
    def sample_bytes(self) -> int:
        """Bytes of the inputs of one sample, as tensors."""
        parts = self.inputs.values()
        return sum(math.prod(x.shape[1:]) * x.dtype.itemsize for x in parts)

    def mean(self) -> dict[str, Tensor]:
        """{modality: the mean sample}, without holding what is on disk in memory."""
        return {
            m: x.mean() if isinstance(x, StoredArray) else x.float().mean(0)
            for m, x in self.inputs.items()
        }

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the data set's order."""
        return tuple(self.inputs)

    def subset(self, index: Tensor | Sequence[int]) -> MultimodalDataset:
        """The samples at `index`, in that order; those on disk stay there."""
        index = torch.as_tensor(index, dtype=torch.long)
        inputs = {
            m: x.view(index) if isinstance(x, StoredArray) else x[index]
            for m, x in self.inputs.items()
        }
        return MultimodalDataset(inputs, self.targets[index])

    def select(self, modalities: Sequence[str]) -> MultimodalDataset:
        """The same samples with only the named modalities."""
        missing = [m for m in modalities if m not in self.inputs]
        if missing:
            raise MsamError(f"modalities {missing} are not here; there are {self.modalities}.")
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
        other_task: what is being learnt, where it is not classification into `classes` (which then
            names the labels, or is empty).
        people: the share in [0, 1] of the test samples that people judged right, by modality and,
            as `"fused"`, from all together; empty where none did.
    """

    name: str
    train: MultimodalDataset
    val: MultimodalDataset
    test: MultimodalDataset
    modalities: Mapping[str, Modality]
    classes: tuple[str, ...]
    provenance: str
    recipe: Mapping[str, object] = field(default_factory=dict)
    other_task: Task | None = None
    people: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{m} {kind.shape}" for m, kind in self.modalities.items())
        sizes = f"{len(self.train)} train, {len(self.val)} val, {len(self.test)} test"
        return f"DataSplits({self.name}, {self.task.kind}, {sizes} samples: {shapes})"

    @property
    def task(self) -> Task:
        """What is being learnt."""
        return self.other_task or Classification(len(self.classes))

    def replace(self, **changes: object) -> DataSplits:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def gathered(batch: Batch | Sequence[Batch]) -> tuple[Batch, tuple[int, ...]]:
    """One batch of all samples, and how many each part has.

    Args:
        batch: a batch, or a list of micro-batches.

    Raises:
        MsamError: an empty list.
    """
    if isinstance(batch, Batch):
        return batch, (len(batch.targets),)
    parts = list(batch)
    if not parts:
        raise MsamError("An empty list of micro-batches; a step needs at least one.")
    inputs = {m: torch.cat([p.inputs[m] for p in parts]) for m in parts[0].inputs}
    indices = [p.index for p in parts if p.index is not None]
    index = torch.cat(indices) if len(indices) == len(parts) else None
    sizes = tuple(len(p.targets) for p in parts)
    return Batch(inputs, torch.cat([p.targets for p in parts]), index), sizes


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
