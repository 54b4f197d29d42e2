"""What data sets of files share: parts, the check that each has every class, and sequences of one
length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from msam_lib.data._tabular import PARTS, stratified
from msam_lib.data.containers import MultimodalDataset
from msam_lib.data.prepared import Prepared, Row
from msam_lib.data.transforms import AS_STORED, Images, Transform
from msam_lib.errors import DatasetCorrupt, unknown_name

LIMIT = float(np.finfo(np.float16).max)
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
SPLITS |= {"test": "test"}
Look = Callable[[str, str], Transform]


def named_parts(samples: Sequence[Row]) -> dict[str, np.ndarray]:
    """{part: numbers of its samples}, by the samples' column `part`."""
    part = np.array([row["part"] for row in samples])
    return {p: np.flatnonzero(part == p) for p in PARTS}


def with_validation(
    samples: Sequence[Row], labels: Sequence[int], val_share: float, seed: int
) -> dict[str, np.ndarray]:
    """As `named_parts`, with this share of every class of the training part as the part `val`.

    Args:
        samples: rows whose `part` is train or test.
        labels: (N,) classes.
        val_share: share of the training part's samples that validate.
        seed: of the draw.
    """
    parts = named_parts(samples)
    fit, held = stratified(np.asarray(labels)[parts["train"]], [1 - val_share, val_share], seed)
    return parts | {"train": parts["train"][fit], "val": parts["train"][held]}


def stored_parts(
    done: Prepared,
    names: Sequence[str],
    targets: Tensor,
    where: Mapping[str, np.ndarray],
    look: Look = lambda modality, part: AS_STORED,
) -> dict[str, MultimodalDataset]:
    """{part: its samples on disk}.

    Args:
        done: the prepared folder.
        names: modalities.
        targets: of all samples, (N,) or (N, L).
        where: {part: numbers of its samples}.
        look: the transform of a modality in a part.
    """
    return {
        p: MultimodalDataset({m: done.array(m, look(m, p)) for m in names}, targets).subset(
            torch.from_numpy(where[p])
        )
        for p in PARTS
    }


def pictures(size: int, modality: str = "visual") -> Look:
    """Of this modality pictures of `size` pixels, varied in the training part; others as stored."""
    return lambda m, part: Images(size, part == "train") if m == modality else AS_STORED


def need_classes(
    what: str, classes: Sequence[str], labels: Sequence[int], where: Mapping[str, np.ndarray]
) -> None:
    """Every part has a sample of every class.

    Args:
        what: the data set, as its papers call it.
        classes: names.
        labels: (N,) number of the class of every sample.
        where: {part: numbers of its samples}.

    Raises:
        DatasetCorrupt: a part lacks a class.
    """
    for p, rows in where.items():
        there = {int(labels[i]) for i in rows}
        if missing := [name for c, name in enumerate(classes) if c not in there]:
            raise DatasetCorrupt(
                f"The {p} part of {what} has {len(rows)} samples, but none of "
                f"{', '.join(missing[:5])}. Prepare it from the complete distribution, or take "
                "another share or seed where the parts are drawn."
            )


def need_samples(what: str, where: Mapping[str, np.ndarray]) -> None:
    """
    Raises:
        DatasetCorrupt: a part is empty.
    """
    for p, rows in where.items():
        if not len(rows):
            raise DatasetCorrupt(
                f"The {p} part of {what} is empty; prepare it from the complete distribution."
            )


def sequence(x: np.ndarray, steps: int, dtype: type = np.float16) -> np.ndarray:
    """The first `steps` steps of a sequence (T, D) as (steps, D), zeros behind its end; what is not
    finite becomes 0, and numbers beyond float16 are cut.
    """
    out: np.ndarray = np.zeros((steps, x.shape[1]), dtype)
    x = x[:steps]
    out[: len(x)] = np.where(np.isfinite(x), x, 0).clip(-LIMIT, LIMIT)
    return out


def leading(x: np.ndarray) -> int:
    """How many steps of (T, D) before the first with a value; 0 where none has."""
    return int(np.argmax(x.any(axis=1)))


def table_parts(
    rows: Sequence[Row], label: str, split: str, group: str, shares: tuple[float, float], seed: int
) -> dict[str, np.ndarray]:
    """{part: sorted numbers of its rows}: those of the column `split` (train, val, test) where
    there is one, else drawn.

    Args:
        rows: of a table.
        label: column of the classes.
        split: column of the parts.
        group: column whose values are kept apart where parts are drawn; "" for none.
        shares: of validation and test.
        seed: of the draw.

    Raises:
        MsamError: an unknown part.
    """
    every = np.arange(len(rows))
    if split in rows[0]:
        for row in rows:
            if row[split].strip().lower() not in SPLITS:
                raise unknown_name("part of the data", row[split], SPLITS)
        given = np.array([SPLITS[row[split].strip().lower()] for row in rows])
        parts = {p: every[given == p] for p in PARTS}
    else:
        rest, test = _drawn(every, rows, label, group, shares[1], seed)
        parts = {"train": rest, "val": every[:0], "test": test}
    if not len(parts["val"]):
        share = shares[0] if split in rows[0] else shares[0] / (1 - shares[1])
        fit, held = _drawn(parts["train"], rows, label, group, min(share, 0.5), seed + 1)
        parts |= {"train": fit, "val": held}
    return parts


def _drawn(
    index: np.ndarray, rows: Sequence[Row], label: str, group: str, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Two parts of the rows at `index`, the second with this share of every class or of groups."""
    column = np.array([rows[i][group or label] for i in index])
    if not group:
        first, second = stratified(column, [1 - share, share], seed)
        return index[first], index[second]
    groups = np.random.default_rng(seed).permutation(np.unique(column))
    held = np.isin(column, groups[: max(1, round(share * len(groups)))])
    return index[~held], index[held]
