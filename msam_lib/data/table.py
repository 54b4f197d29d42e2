"""`table`: a cohort, from one csv file per modality and one of labels, joined by an id.

    cohort/labels.csv      id,label,split,person     (split and person may be missing)
    cohort/clinical.csv    id,age,sex,education,...
    cohort/mri.csv         id,hippocampus,...

Every csv file beside the labels is a modality, a vector of its columns. Columns of numbers are
standardised with the training part's statistics and cut at ±10; an empty cell becomes the training
mean, and a column `missing:NAME` says so where the training part has gaps. Columns of words become
one column per word of the training part. Only ids that all files have are taken, and the others
counted. Parts are those of the column `split`, or are drawn by class, or by `group` (a person with
several visits, say), so that no group is in two parts.

It fits ADNI, which MASAM names but whose reader is not among its code: demographic, genetic and
laboratory columns as `clinical`, volumes of regions as `mri`, the diagnosis as label. Scores by
which a diagnosis of dementia is made (MMSE, CDR, ADAS, ...) tell the label; the loader refuses them
by their names, unless `leaks="drop"` leaves them out or `leaks="keep"` takes them on purpose.
ADNI's data are given by application and cannot be handed on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Range
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._parts import need_classes, table_parts
from msam_lib.data._tabular import PARTS, standardised
from msam_lib.data.containers import DataSplits, Modality, MultimodalDataset, choose_modalities
from msam_lib.data.media import content
from msam_lib.data.prepared import Row
from msam_lib.data.tables import read_table
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError, unknown_name

# Columns by which dementia is diagnosed, or that hold the diagnosis.
LEAKING = re.compile(r"(MMSE|CDR|ADAS|MOCA|FAQ|DX|DIAGNOSIS)", re.IGNORECASE)
LEAKS = ("refuse", "drop", "keep")
WORDS = 50  # most different words of a column


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    source: str = "",
    labels: str = "labels",
    key: str = "id",
    label: str = "label",
    split: str = "split",
    group: str = "",
    leaks: str = "refuse",
    val_share: Annotated[float, Range(above=0, below=1)] = 0.15,
    test_share: Annotated[float, Range(above=0, below=1)] = 0.15,
) -> DataSplits:
    """The samples of a folder of tables.

    Args:
        seed: draws the parts, where they are not given.
        modalities: names of csv files, without the ending; all but the labels by default.
        source: the folder.
        labels: name of the file of the labels, without the ending.
        key: column of the ids, in every file.
        label: column of the classes, any texts.
        split: column of the parts; where the labels have no such column, they are drawn.
        group: column of the labels whose values are kept apart where parts are drawn.
        leaks: what to do with columns that tell a diagnosis: `"refuse"`, `"drop"` or `"keep"`.
        val_share, test_share: shares in (0, 1) of the samples (of the groups), where drawn.

    Raises:
        MsamError: no source, a value that is not allowed, or columns that tell the label.
        DatasetMissing: the folder or a file is not there.
        DatasetCorrupt: a column is missing, an id occurs twice, no id is in all files, or a part
            has no sample of some class.
    """
    check_arguments(load, locals())
    if not source:
        raise MsamError("source=''; name the folder: --source cohort, or source='cohort'.")
    if leaks not in LEAKS:
        raise unknown_name("leaks", leaks, LEAKS)
    folder = Path(source)
    if not (folder / f"{labels}.csv").is_file():
        raise DatasetMissing(f"{folder / labels}.csv is not there; it has to hold id and label.")
    available = sorted(p.stem for p in folder.glob("*.csv") if p.stem != labels)
    names = choose_modalities(modalities, available)
    rows = _by_id(folder, labels, key, [label, *([group] if group else [])])
    tables = {m: _by_id(folder, m, key, []) for m in names}
    ids = [i for i in rows if all(i in t for t in tables.values())]
    if not ids:
        raise DatasetCorrupt(
            f"No {key!r} of {folder / labels}.csv is in all of {', '.join(names)}."
        )
    known = [rows[i] for i in ids]
    classes = sorted({row[label] for row in known})
    targets = [classes.index(row[label]) for row in known]
    where = table_parts(known, label, split, group, (val_share, test_share), seed)
    need_classes(folder.name, classes, targets, where)
    columns = {m: _columns(folder / f"{m}.csv", list(t.values()), key, leaks)
               for m, t in tables.items()}  # fmt: skip
    inputs: dict[str, dict[str, torch.Tensor]] = {}
    for m in names:
        x = _numbers(folder / f"{m}.csv", [tables[m][i] for i in ids], columns[m], where["train"])
        inputs[m] = standardised({p: x[where[p]] for p in PARTS})
    y = torch.tensor(targets)
    parts = {
        p: MultimodalDataset({m: inputs[m][p] for m in names}, y[torch.from_numpy(where[p])])
        for p in PARTS
    }
    used = "; ".join(f"{m}: {', '.join(c)}" for m, c in columns.items())
    every = set(rows).union(*tables.values())
    digest = hashlib.sha256(b"".join(content(folder / f"{m}.csv") for m in (labels, *names)))
    return DataSplits(
        name="table",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={
            m: Modality("vector", tuple(parts["train"].inputs[m].shape[1:])) for m in names
        },
        classes=tuple(classes),
        provenance=(
            f"{len(ids)} samples of {folder.name}; {len(every) - len(ids)} others are not in all "
            f"files. Columns: {used}."
        ),
        recipe={"seed": seed, "modalities": names, "labels": labels, "key": key, "label": label}
        | {"split": split, "group": group, "leaks": leaks, "columns": columns}
        | {"val_share": val_share, "test_share": test_share, "content": digest.hexdigest()},
    )


def _by_id(folder: Path, name: str, key: str, needed: Sequence[str]) -> dict[str, Row]:
    """{id: row} of a table."""
    path = folder / f"{name}.csv"
    out: dict[str, Row] = {}
    for row in read_table(path, [key, *needed]):
        if row[key] in out:
            raise DatasetCorrupt(
                f"{path} has {key} {row[key]!r} more than once. Give every sample (every visit) an "
                "id of its own."
            )
        out[row[key]] = row
    return out


def _columns(path: Path, rows: Sequence[Row], key: str, leaks: str) -> list[str]:
    """The columns of a modality, after those that tell the label were looked for."""
    columns = [c for c in rows[0] if c != key] if rows else []
    telling = [c for c in columns if LEAKING.search(c)]
    if telling and leaks == "refuse":
        raise MsamError(
            f"{path}: the columns {', '.join(telling)} are scores by which a diagnosis is made, or "
            "the diagnosis itself. Leave them out: leaks='drop'; or take them on purpose: "
            "leaks='keep'."
        )
    columns = [c for c in columns if leaks == "keep" or c not in telling]
    if not columns:
        raise DatasetCorrupt(f"{path} has no column left beside {key!r}.")
    return columns


def _numbers(
    path: Path, rows: Sequence[Row], columns: Sequence[str], fit: np.ndarray
) -> np.ndarray:
    """The rows (N, D) as numbers, from the training rows `fit`: gaps filled, words as columns."""
    out: list[np.ndarray] = []
    for c in columns:
        cells = [row[c].strip() for row in rows]
        values = np.array([_float(x) for x in cells])
        words = sorted({cells[i] for i in fit if cells[i] and np.isnan(_float(cells[i]))})
        if words:  # a column with any word is one of words
            if len(words) > WORDS:
                raise DatasetCorrupt(
                    f"{path}: column {c!r} has {len(words)} different texts, such as "
                    f"{words[0]!r}; numbers, or at most {WORDS} texts, are read."
                )
            every = sorted({cells[i] for i in fit if cells[i]})
            out += [np.array([x == word for x in cells], float) for word in every]
            continue
        gaps = np.isnan(values)
        known = values[fit][~gaps[fit]]
        out.append(np.where(gaps, known.mean() if len(known) else 0.0, values))
        if gaps[fit].any():
            out.append(gaps.astype(float))
    return np.stack(out, axis=1)


def _float(cell: str) -> float:
    """The number of a cell; NaN of an empty cell, of words, and of what is not finite."""
    try:
        x = float(cell)
    except ValueError:
        return float("nan")
    return x if np.isfinite(x) else float("nan")
