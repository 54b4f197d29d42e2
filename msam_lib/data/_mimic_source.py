"""Stays of MIMIC-IV in the layout of DrFuse: lists of a fold, tables of time series, X-rays."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msam_lib.data.media import content, need
from msam_lib.data.prepared import Row
from msam_lib.data.tables import read_table
from msam_lib.errors import DatasetCorrupt, DatasetMissing

STEPS = 48  # hours
PHENOTYPES = 25
PARTS = ("train", "val", "test")
NEEDED = ("stay_id", "subject_id", "icu_mortality", "valid_cxrs")
TIME = re.compile(r"Timestamp\('([^']*)'[^)]*\)")
WHERE = (
    "The folder must hold splits/foldK/stays_{train,val,test}.csv, splits/foldK/train_stats.yaml "
    "and time_series/STAY.csv, as the extraction of DrFuse writes them from MIMIC-IV (credentialed "
    "access at PhysioNet)."
)


@dataclass(frozen=True)
class Series:
    """How a stay's table becomes numbers.

    Args:
        features: columns of measurements; `{column: (median, interquartile range, scaled?)}`.
        masks: columns that say what was measured.
    """

    features: Mapping[str, tuple[float, float, bool]]
    masks: Sequence[str]

    @property
    def size(self) -> int:
        """Numbers per step."""
        return len(self.features) + len(self.masks)


def stays(source: Path, fold: int) -> list[Row]:
    """A row per stay with an X-ray: part, stay, subject, dicom (its last X-ray), mortality (0/1),
    and `phenotype:NAME` (0/1) for each of the 25 phenotypes, which are the columns before the last
    one, as in the code of MASAM.

    Raises:
        DatasetMissing, DatasetCorrupt: naming the list, the line and what is wrong.
    """
    rows: list[Row] = []
    for part in PARTS:
        table = source / "splits" / f"fold{fold}" / f"stays_{part}.csv"
        if not table.is_file():
            raise DatasetMissing(f"{table} is not there. {WHERE}")
        listed = read_table(table, NEEDED)
        columns = list(listed[0]) if listed else []
        phenotypes = columns[-PHENOTYPES - 1 : -1]
        if listed and (len(phenotypes) < PHENOTYPES or set(phenotypes) & set(NEEDED)):
            raise DatasetCorrupt(
                f"{table} has {len(columns)} columns; its last {PHENOTYPES + 1} must be the "
                f"{PHENOTYPES} phenotypes and one more. {WHERE}"
            )
        for number, stay in enumerate(listed, start=2):
            where = f"{table}, line {number}"
            if dicom := _last_image(stay["valid_cxrs"], where):
                labels = {"mortality": stay["icu_mortality"]}
                labels |= {f"phenotype:{name}": stay[name] for name in phenotypes}
                rows.append(
                    {"part": part, "stay": stay["stay_id"], "subject": stay["subject_id"]}
                    | {"dicom": dicom}
                    | {
                        name: _on_or_off(cell, f"{where}, {name.rpartition(':')[2]}")
                        for name, cell in labels.items()
                    }
                )
    if len({tuple(row) for row in rows}) > 1:
        raise DatasetCorrupt(f"The lists of fold {fold} in {source} differ in their columns.")
    if not rows:
        raise DatasetCorrupt(f"No stay of fold {fold} in {source} has an X-ray. {WHERE}")
    return rows


def series_of(source: Path, fold: int, stay: str) -> Series:
    """The columns of a stay's table that `train_stats.yaml` knows, and those of the masks.

    Raises:
        DatasetMissing, DatasetCorrupt: a file is missing or damaged.
    """
    path = source / "splits" / f"fold{fold}" / "train_stats.yaml"
    yaml = need("yaml")
    try:
        stats = yaml.safe_load(content(path))
        known = {f: (float(s["median"]), float(s["iqr"]), bool(s["normalize"]))
                 for f, s in stats.items()}  # fmt: skip
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DatasetCorrupt(
            f"{path} cannot be read ({error}); it must hold median, iqr and normalize of every "
            "measurement."
        ) from error
    columns = list(read_table(_path(source, stay), ["time_step"])[0])
    found = Series(
        {c: known[c] for c in columns if c in known}, [c for c in columns if "mask" in c]
    )
    if not found.features:
        raise DatasetCorrupt(
            f"{path} names none of the columns of {_path(source, stay)}: {columns}."
        )
    return found


def time_series(source: Path, stay: str, series: Series) -> np.ndarray:
    """The first 48 hours (48, F + K) of a stay: F measurements, carried forward, before the first
    one the training median; then (x - median) / iqr, where they are scaled; and K masks. Zeros
    behind the end of a shorter stay.

    Raises:
        DatasetMissing: there is no such table.
        DatasetCorrupt: it is empty, lacks a column, or has words in it.
    """
    path = _path(source, stay)
    rows = read_table(path, ["time_step", *series.features, *series.masks])
    try:
        rows.sort(key=lambda row: float(row["time_step"]))
        x = np.array([[_number(row[c]) for c in series.features] for row in rows])
        masks = np.array([[_number(row[c]) for c in series.masks] for row in rows])
    except ValueError as error:
        raise DatasetCorrupt(f"{path}: {error}; only numbers and empty cells are read.") from error
    if not rows:
        raise DatasetCorrupt(f"{path} has no time steps. {WHERE}")
    for k, (median, spread, scaled) in enumerate(series.features.values()):
        last = median
        for t in range(len(x)):
            last = x[t, k] = last if np.isnan(x[t, k]) else x[t, k]
        if scaled:
            x[:, k] = (x[:, k] - median) / (spread or 1.0)  # a constant one stays what it is
    out = np.zeros((STEPS, series.size), np.float32)
    both = np.concatenate([x, np.nan_to_num(masks).reshape(len(x), -1)], axis=1)[:STEPS]
    out[: len(both)] = both
    return out


def _path(source: Path, stay: str) -> Path:
    path = source / "time_series" / f"{stay}.csv"
    if not path.is_file():
        raise DatasetMissing(f"{path} is not there, but stay {stay} is in a list. {WHERE}")
    return path


def _number(cell: str) -> float:
    return float(cell) if cell.strip() else float("nan")


def _on_or_off(cell: str, where: str) -> str:
    """0 or 1 of a label's cell."""
    known = {"0": "0", "1": "1", "0.0": "0", "1.0": "1", "False": "0", "True": "1"}
    if cell.strip() not in known:
        raise DatasetCorrupt(f"{where}: the label is {cell!r}; expected is 0 or 1.")
    return known[cell.strip()]


def _last_image(cell: str, where: str) -> str:
    """The name of the last X-ray of a list of (name, ...) as Python writes it; "" of an empty
    list.
    """
    if not cell.strip():
        return ""
    try:
        listed = ast.literal_eval(TIME.sub(r"'\1'", cell))
        return str(listed[-1][0]) if listed else ""
    except (ValueError, SyntaxError, TypeError, IndexError) as error:
        raise DatasetCorrupt(f"{where}: valid_cxrs is {cell!r}, no list of X-rays.") from error
