"""What the cells of somebody's table hold: numbers, texts, and the names of files."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from msam_lib.data._audio import centre, log_mel, resample
from msam_lib.data.media import (
    content,
    kind_of,
    read_array,
    read_frames,
    read_image,
    read_sound,
    read_text,
)
from msam_lib.data.prepared import Row
from msam_lib.data.tables import numbers
from msam_lib.errors import DatasetCorrupt, MsamError

TEXTS = ("words", "text")  # kinds of columns: texts themselves, and .txt files
RATE = 16_000
MEL = {"n_mels": 64, "window": 400, "hop": 160, "n_fft": 1024}


def column_kind(m: str, cell: str, said: bool) -> str:
    """numbers, words, or the kind of file that the first cell of a column names.

    Args:
        m: the column.
        cell: its first cell.
        said: whether it is said to hold texts.

    Raises:
        MsamError: a file of an unknown kind, or one that is no text where a text is said to be.
    """
    if not said and numbers(cell) is not None:
        return "numbers"
    try:
        kind = kind_of(cell)
    except MsamError as error:
        if said:
            return "words"
        raise MsamError(f"{error} If column {m!r} holds texts: text={m!r}.") from None
    if said and kind != "text":
        raise MsamError(f"text={m!r}, but the first cell names another kind of file: {cell!r}.")
    return kind


def check_texts(table: Path, rows: Sequence[Row], m: str, kind: str) -> None:
    """All cells of a column hold texts, or all of them names of .txt files, as the first one.

    Args:
        table: for errors.
        rows: of the table.
        m: the column.
        kind: one of `TEXTS`.

    Raises:
        DatasetCorrupt: a cell is empty, holds the other thing, or is too long for a table.
    """
    for number, row in enumerate(rows, start=1):
        cell, where = row[m], f"{table}, sample {number}: column {m!r}"
        if not cell.strip():
            raise DatasetCorrupt(f"{where} is empty. Write a text, or leave the sample out.")
        if len(cell) > csv.field_size_limit():
            raise DatasetCorrupt(f"{where} has {len(cell)} characters. Name a .txt file there.")
        if cell.lower().endswith(".txt") != (kind == "text"):
            raise DatasetCorrupt(
                f"{where} holds {cell[:60]!r}, the first sample {rows[0][m][:60]!r}. Either all "
                "name .txt files, or none does."
            )


def cell_text(table: Path, row: Row, m: str, kind: str) -> str:
    """The text of a cell, or of the file that it names.

    Raises:
        DatasetMissing, DatasetCorrupt: the file is not there, is empty, or is not in UTF-8.
    """
    if kind == "words":
        return row[m]
    path = table.parent / row[m]
    if not (found := read_text(path)).strip():
        raise DatasetCorrupt(f"{path} has no text. Write one, or leave the sample out.")
    return found


def cell_sample(table: Path, row: Row, m: str, kind: str, side: int, seconds: float) -> np.ndarray:
    """The stored form of a cell that holds no text.

    Args:
        table: seen from whose folder files are named.
        row: with the cell.
        m: its column.
        kind: of the column.
        side: pixels of a side of an image.
        seconds: of a sound.

    Raises:
        DatasetMissing, DatasetCorrupt: the cell, or its file, cannot be read.
    """
    if kind == "numbers":
        x = numbers(row[m])
        if x is None or not np.isfinite(x).all():
            raise DatasetCorrupt(f"{table}: {row[m]!r} in column {m!r} is not finite numbers.")
        return x
    path = table.parent / row[m]
    if kind == "image":
        return read_image(path, side, side)
    if kind == "video":
        return read_frames(path, 1, side, side)[0]
    if kind == "sound":
        wave = torch.from_numpy(centre(resample(*read_sound(path), RATE), round(seconds * RATE)))
        return log_mel(wave[None], RATE, **MEL).numpy().astype(np.float16)
    return read_array(path).astype(np.float32)


def fingerprint(table: Path, rows: Sequence[Row], kinds: Mapping[str, str]) -> str:
    """A digest that changes with the table, and with size or time of any of its files."""
    digest = hashlib.sha256(content(table))
    files = [m for m, kind in kinds.items() if kind not in ("numbers", "words")]
    for row in rows:
        for m in files:
            path = table.parent / row[m]
            if path.is_file():  # a missing one is reported when it is read
                about = path.stat()
                digest.update(f"{row[m]} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()
