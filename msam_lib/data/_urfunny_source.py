"""The two published forms of UR-FUNNY's features: which one a folder holds, and MultiBench's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msam_lib.data.pickles import read_pickle
from msam_lib.data.prepared import Row
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError

SIZES = {"visual": 371, "audio": 81, "text": 300}
MULTIBENCH = "humor.pkl"
KEYS = {"visual": "vision", "audio": "audio", "text": "text"}  # in that pickle
NAMES = {"train": "train", "val": "valid", "test": "test"}
FOLDS, WORDS, LABELS, VECTORS = (
    "data_folds.pkl", "language_sdk.pkl", "humor_label_sdk.pkl", "word_embedding_list.pkl",
)  # fmt: skip
FEATURES = {"visual": "openface_features_sdk.pkl", "audio": "covarep_features_sdk.pkl"}
OFFICIAL = (FOLDS, WORDS, *FEATURES.values(), LABELS, VECTORS)


class Samples(NamedTuple):
    """What a published form holds.

    Args:
        rows: part, label, and the place or id of every sample with words.
        steps: the most words of a sample.
        features: `features(row) -> {modality: (T, D)}`.
        notes: sentences about what was found.
    """

    rows: list[Row]
    steps: int
    features: Callable[[Row], Mapping[str, np.ndarray]]
    notes: Sequence[str]


def find_layout(source: Path) -> tuple[str, Path]:
    """(`"multibench"`, its pickle), or (`"official"`, the folder of the authors' six).

    Args:
        source: a folder, or one of the files.

    Raises:
        MsamError: the folder holds both.
        DatasetMissing: the folder holds neither, or the second only in part.
    """
    if not source.is_dir() and source.name not in OFFICIAL:
        return "multibench", source
    folder = source if source.is_dir() else source.parent
    absent = [name for name in OFFICIAL if not (folder / name).is_file()]
    single = folder / MULTIBENCH
    if source.is_dir() and single.is_file():
        if not absent:
            raise MsamError(
                f"{folder} holds both {MULTIBENCH} (MultiBench) and the six pickles of UR-FUNNY's "
                f"authors. Name the file for the one, --source {single}, or any of the six for "
                f"the other, --source {folder / FOLDS}."
            )
        return "multibench", single
    if absent:
        raise DatasetMissing(
            f"{folder} is not a whole UR-FUNNY: {single} is not there (the pickle of MultiBench), "
            f"and of the six pickles of V2 (github.com/ROC-HCI/UR-FUNNY) these are missing: "
            f"{', '.join(absent)}. Put the one file there, or all six."
        )
    return "official", folder


def read_multibench(path: Path, sha256: str) -> Samples:
    """The samples of MultiBench's pickle.

    Raises:
        DatasetMissing, DatasetCorrupt: what is missing or damaged.
    """
    parts = _checked(read_pickle(path, sha256), path)
    rows: list[Row] = []
    silent: dict[str, int] = {}
    for name, part in parts.items():
        spoken = part["text"].sum(axis=(1, 2)) != 0
        silent[name] = int((~spoken).sum())
        for k in np.flatnonzero(spoken):
            label = int(float(np.ravel(part["labels"][k])[0]) >= 1)
            rows.append({"part": name, "row": str(k), "label": str(label)})
    steps = max(part["text"].shape[1] for part in parts.values())

    def features(row: Row) -> Mapping[str, np.ndarray]:
        return {m: parts[row["part"]][m][int(row["row"])] for m in SIZES}

    return Samples(rows, steps, features, [left_out(silent)])


def left_out(silent: Mapping[str, int]) -> str:
    """A note on samples without words.

    >>> left_out({"train": 2, "test": 0})
    '2 samples without words are left out (2 train, 0 test).'
    """
    each = ", ".join(f"{n} {part}" for part, n in silent.items())
    return f"{sum(silent.values())} samples without words are left out ({each})."


def _checked(content: Any, path: Path) -> dict[str, dict[str, np.ndarray]]:
    """{part: {modality: (N, T, D), labels: (N, ...)}}, after every shape was looked at."""
    out: dict[str, dict[str, np.ndarray]] = {}
    for part, key in NAMES.items():
        if not isinstance(content, dict) or key not in content:
            found = list(content) if isinstance(content, dict) else type(content).__name__
            raise DatasetCorrupt(
                f"{path} holds {found}; expected is a dictionary with {', '.join(NAMES.values())} "
                "(the pickle of MultiBench)."
            )
        there = content[key]
        out[part] = {}
        for m, name in (KEYS | {"labels": "labels"}).items():
            if not isinstance(there, dict) or name not in there:
                raise DatasetCorrupt(f"{path}: {key} has no {name!r}.")
            out[part][m] = np.asarray(there[name])
        n = len(out[part]["labels"])
        for m, size in SIZES.items():
            x = out[part][m]
            if x.ndim != 3 or x.dtype.hasobject or len(x) != n or x.shape[2] != size:
                raise DatasetCorrupt(
                    f"{path}: {key}/{KEYS[m]} has shape {x.shape} ({x.dtype}); expected are "
                    f"numbers ({n}, T, {size})."
                )
        if len({out[part][m].shape[1] for m in SIZES}) != 1:
            raise DatasetCorrupt(f"{path}: the modalities of {key} differ in their steps.")
    return out
