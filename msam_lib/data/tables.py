"""Tables with a header: csv files, and jsonl files with an object per line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msam_lib.data.media import read_text
from msam_lib.data.prepared import Row
from msam_lib.errors import DatasetCorrupt, MsamError


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a csv file with a header, as {column: text}.

    Args:
        path: the file, in UTF-8 with or without a byte order mark.
        columns: that must be there.

    Raises:
        DatasetMissing: there is no such file.
        DatasetCorrupt: it is not in UTF-8, a column is missing, or a row has another number of
            cells.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        found, rows = list(reader.fieldnames or ()), list(reader)
    except csv.Error as error:  # such as a cell beyond csv's limit
        raise DatasetCorrupt(f"{path}, line {reader.line_num}: {error}.") from error
    for column in columns:
        if column not in found:
            raise DatasetCorrupt(
                f"{path} has no column {column!r}; its header is {found}. Expected: "
                f"{', '.join(columns)}."
            )
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise DatasetCorrupt(f"{path}, line {number}: not {len(found)} cells as in the header.")
    return rows


def read_rows(table: Path, needed: Sequence[str]) -> list[Row]:
    """The rows of a csv or jsonl file, all cells as text, lists of numbers separated by spaces.

    Args:
        table: the file.
        needed: columns that must be there.

    Raises:
        MsamError: a file of another kind.
        DatasetMissing: there is no such file.
        DatasetCorrupt: a column is missing, or a line cannot be read.
    """
    if table.suffix.lower() == ".csv":
        rows = read_table(table, needed)
    elif table.suffix.lower() == ".jsonl":
        rows = []
        # Not splitlines(), for texts may hold what it takes for the end of a line.
        lines = read_text(table).removesuffix("\n").split("\n")
        for number, line in enumerate(lines, start=1):
            try:
                cells = json.loads(line)
                rows.append({k: _text(v) for k, v in cells.items()})
            except (ValueError, AttributeError) as error:
                raise DatasetCorrupt(
                    f"{table}, line {number}: no row of cells ({error})."
                ) from None
            if rows[-1].keys() != rows[0].keys() or not set(needed) <= rows[0].keys():
                raise DatasetCorrupt(
                    f"{table}, line {number}: the keys are {list(rows[-1])}; expected in every "
                    f"line the same ones, among them {', '.join(needed)}."
                )
    else:
        raise MsamError(f"source={str(table)!r}; a csv or jsonl file is needed.")
    if not rows:
        raise DatasetCorrupt(f"{table} has no samples.")
    return rows


def _text(value: object) -> str:
    """A cell of a jsonl file as in a csv file, where null is an empty one."""
    if value is None:
        return ""
    if isinstance(value, dict) or (
        isinstance(value, list) and not all(isinstance(x, int | float) for x in value)
    ):
        raise ValueError(f"a cell is a text, a number or a list of numbers, not {value}")
    return " ".join(map(repr, value)) if isinstance(value, list) else str(value)


def numbers(cell: str) -> np.ndarray | None:
    """The numbers (D,) of a cell; None where it holds something else."""
    try:
        return np.array([float(x) for x in cell.split()], np.float32) if cell.strip() else None
    except ValueError:
        return None
