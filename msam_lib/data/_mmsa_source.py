"""The pickles of MMSA: which there are, their digests, and what has to be in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msam_lib.data.prepared import Row
from msam_lib.errors import DatasetCorrupt, DatasetMissing

KEYS = {"text": "text", "audio": "audio", "visual": "vision"}  # in the pickle
NAMES = {"train": "train", "val": "valid", "test": "test"}
ALONE = {"text": "T", "audio": "A", "visual": "V"}  # of the labels of one modality


@dataclass(frozen=True)
class Corpus:
    """One of the three corpora.

    Args:
        title: as its paper calls it.
        reference: of the paper.
        limits: lowest and highest label.
        digests: {variant: sha256 of its file}, the first one the default.
    """

    title: str
    reference: str
    limits: tuple[float, float]
    digests: Mapping[str, str]


CORPORA = {
    "mosi_regression": Corpus(
        "CMU-MOSI",
        "Zadeh et al., IEEE Intelligent Systems 2016",
        (-3.0, 3.0),
        {
            "aligned_50": "d3994fd25681f9c7ad6e9c6596a6fe9b4beb85ff7d478ba978b124139002e5f9",
            "unaligned_50": "78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524",
        },
    ),
    "mosei": Corpus(
        "CMU-MOSEI",
        "Zadeh et al., ACL 2018",
        (-3.0, 3.0),
        {
            "aligned_50": "45eccfb748a87c80ecab9bfac29582e7b1466bf6605ff29d3b338a75120bf791",
            "unaligned_50": "ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f",
        },
    ),
    "sims": Corpus(
        "CH-SIMS",
        "Yu et al., ACL 2020",
        (-1.0, 1.0),
        {"unaligned_39": "c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f"},
    ),
}


def find_pickle(source: Path, name: str) -> Path:
    """The pickle at or below `source`."""
    if source.is_file():
        return source
    for path in (source / name, source / "Processed" / name):
        if path.is_file():
            return path
    raise DatasetMissing(
        f"{source / name} is not there, and not in its folder Processed. Fetch it by the links on "
        "https://github.com/thuiar/MMSA, and name its folder."
    )


def rows_of(name: str, part: Mapping[str, np.ndarray]) -> list[Row]:
    """A row per sample of a part: place, label, and the labels of single modalities."""
    return [
        {"part": name, "row": str(k), "target": repr(float(part["target"][k]))}
        | {f"label_{m}": repr(float(part[f"label_{m}"][k])) for m in ALONE if f"label_{m}" in part}
        for k in range(len(part["target"]))
    ]


def checked(content: Any, path: Path, limits: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """{part: {modality: (N, T, D), target: (N,), label_MODALITY: (N,)}}, after shapes and labels
    were looked at.

    Args:
        content: of the pickle.
        path: of the pickle, for errors.
        limits: lowest and highest label.

    Raises:
        DatasetCorrupt: another layout.
    """
    out: dict[str, dict[str, Any]] = {}
    for name, key in NAMES.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), dict):
            found = list(content) if isinstance(content, dict) else type(content).__name__
            raise DatasetCorrupt(
                f"{path} holds {found}; expected is a dictionary with a dictionary for each of "
                f"{', '.join(NAMES.values())} (the pickles of MMSA)."
            )
        there = content[key]
        labels = "regression_labels" if "regression_labels" in there else "labels"
        columns = {"target": labels} | {
            f"label_{m}": f"{labels}_{letter}"
            for m, letter in ALONE.items()
            if f"{labels}_{letter}" in there
        }
        if missing := [k for k in (*KEYS.values(), labels) if k not in there]:
            raise DatasetCorrupt(f"{path}: {key} has no {missing[0]!r}, only {list(there)}.")
        out[name] = {c: _labels(there[k], f"{path}: {key}/{k}", limits) for c, k in columns.items()}
        n = len(out[name]["target"])
        for m, k in KEYS.items():
            x = out[name][m] = np.asarray(there[k])
            size = out["train"][m].shape[-1]
            if x.ndim != 3 or x.dtype.hasobject or len(x) != n or x.shape[2] != size:
                raise DatasetCorrupt(
                    f"{path}: {key}/{k} has shape {x.shape} ({x.dtype}); expected are numbers "
                    f"({n}, T, {size})."
                )
    return out


def _labels(values: Any, where: str, limits: tuple[float, float]) -> np.ndarray:
    """Labels (N,) within the limits."""
    try:
        y = np.asarray(values, np.float32).reshape(len(values), -1)
    except (ValueError, TypeError) as error:
        raise DatasetCorrupt(f"{where} are no numbers ({error}).") from error
    low, high = limits
    wrong = (
        ~((y >= low - 1e-4) & (y <= high + 1e-4)).all(1)
        if y.shape[1] == 1
        else np.ones(len(y), bool)
    )
    if wrong.any():
        raise DatasetCorrupt(
            f"{where}: sample {int(wrong.argmax())} has the label {y[wrong.argmax()]}; expected is "
            f"one number from {low:g} to {high:g}."
        )
    return y[:, 0]
