"""`folder`: your own samples, from a table with a column per modality and a label.

The table is a csv file with a header, or a jsonl file with an object per line. A cell of a
modality's column is the path of an image, video, sound or .npy file, seen from the table's folder;
or numbers, separated by spaces (in jsonl also a list). All columns but label, split and group are
modalities, unless `modalities` names some.

    clip,face,voice,age,label,split
    1,faces/1.jpg,voices/1.wav,31,happy,train

Files are decoded once, at the first load, into a prepared folder of the cache; changed files are
decoded again. Images and the first frame of a video become (3, size, size), cut and mirrored at
random in training; sounds log-mel spectrograms (1, 64, frames) of `seconds` at 16 kHz; numbers and
arrays stay what they are, vectors standardised with the training part's statistics.

Parts come from the column `split` (train, val, test), or are drawn: by class, or by `group` (a
person, say), so that no group is in two parts. Without val rows, these are drawn from train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count, Positive, Range
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._audio import centre, log_mel, resample
from msam_lib.data._parts import stored_parts, table_parts
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.media import content, kind_of, read_array, read_frames, read_image, read_sound
from msam_lib.data.prepared import Plan, Row, prepare
from msam_lib.data.stored import StoredArray
from msam_lib.data.tables import numbers, read_rows
from msam_lib.data.transforms import AS_STORED, Images, Numbers, Transform
from msam_lib.errors import DatasetCorrupt, MsamError

VERSION = 1  # of the recipe: raised when the same options would give other arrays
RATE = 16_000
MEL = {"n_mels": 64, "window": 400, "hop": 160, "n_fft": 1024}


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    source: str = "",
    label: str = "label",
    split: str = "split",
    group: str = "",
    val_share: Annotated[float, Range(above=0, below=1)] = 0.15,
    test_share: Annotated[float, Range(above=0, below=1)] = 0.15,
    size: Count = 64,
    side: Count = 128,
    seconds: Positive = 3.0,
) -> DataSplits:
    """The samples of a table.

    Args:
        seed: draws the parts, where they are not given.
        modalities: columns; by default all but label, split and group.
        source: path of the csv or jsonl file.
        label: column of the classes, any texts.
        split: column of the parts; where the table has no such column, they are drawn.
        group: column whose values are kept apart where parts are drawn; "" for none.
        val_share, test_share: shares in (0, 1) of the samples (of the groups), where drawn.
        size: pixels of a side of images.
        side: pixels of a side at which images are kept.
        seconds: of a sound: its middle, or all of it between zeros.

    Raises:
        MsamError: no source, or a value that is not allowed.
        DatasetMissing: the table or one of its files is not there.
        DatasetCorrupt: a column is missing, a cell or a file cannot be read, or a part has no
            sample of some class.
    """
    check_arguments(load, locals())
    if not source:
        raise MsamError("source=''; name the table: --source data.csv, or source='data.csv'.")
    table = Path(source)
    rows = read_rows(table, [label, *([group] if group else []), *(modalities or ())])
    columns = [c for c in rows[0] if c not in (label, split, group)]
    names = choose_modalities(modalities, columns)
    kinds = {m: _kind(rows[0][m]) for m in names}

    def read(row: Row) -> Mapping[str, np.ndarray]:
        return {m: _sample(table, row, m, kinds[m], side, seconds) for m in names}

    arrays = {m: (x.shape, x.dtype.str) for m, x in read(rows[0]).items()}
    recipe = {
        "version": VERSION, "modalities": names, "side": side, "seconds": seconds,
        "content": _fingerprint(table, rows, kinds),
    }  # fmt: skip
    done = prepare(Plan("folder", recipe, rows, arrays, read))
    classes = sorted({row[label] for row in rows})
    targets = torch.tensor([classes.index(row[label]) for row in rows])
    where = table_parts(rows, label, split, group, (val_share, test_share), seed)
    for part, index in where.items():
        if missing := [c for c in classes if c not in {rows[i][label] for i in index}]:
            raise DatasetCorrupt(
                f"{table}: the {part} part of {len(index)} samples has no sample of "
                f"{', '.join(missing[:5])}. Every part needs every class."
            )
    fit = torch.from_numpy(where["train"])
    stored = {m: done.array(m) for m in names}
    scales = {m: _standardised(x.view(fit)) if x.shape[1:] and len(x.shape) == 2 else AS_STORED
               for m, x in stored.items()}  # fmt: skip

    def look(m: str, part: str) -> Transform:
        return Images(size, part == "train") if kinds[m] in ("image", "video") else scales[m]

    parts = stored_parts(done, names, targets, where, look)
    shapes = {m: tuple(x.shape[1:]) for m, x in parts["train"].inputs.items()}
    return DataSplits(
        name="folder",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality(_modality(kinds[m], shapes[m]), shapes[m]) for m in names},
        classes=tuple(classes),
        provenance=f"{len(rows)} samples of {table.name}.",
        recipe=recipe | {"seed": seed, "label": label, "split": split, "group": group}
        | {"val_share": val_share, "test_share": test_share, "size": size},
    )  # fmt: skip


def _kind(cell: str) -> str:
    """numbers, or the kind of file that a cell names."""
    return "numbers" if numbers(cell) is not None else kind_of(cell)


def _sample(table: Path, row: Row, m: str, kind: str, side: int, seconds: float) -> np.ndarray:
    """The stored form of one cell."""
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


def _fingerprint(table: Path, rows: Sequence[Row], kinds: Mapping[str, str]) -> str:
    """A digest that changes with the table, and with size or time of any of its files."""
    digest = hashlib.sha256(content(table))
    for row in rows:
        for m, kind in kinds.items():
            path = table.parent / row[m]
            if kind != "numbers" and path.is_file():  # a missing one is reported when it is read
                about = path.stat()
                digest.update(f"{row[m]} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _standardised(x: StoredArray) -> Numbers:
    """The transform that standardises vectors like these, cut at ±10; constants become 0."""
    mean, square = x.mean().double(), torch.zeros(x.shape[1:], dtype=torch.float64)
    for block in x.blocks():
        square += (x.read(block).double() - mean).square().sum(0)
    std = (square / len(x)).sqrt()
    std[std <= 1e-8] = torch.inf
    return Numbers(mean.numpy(), std.numpy(), 10.0)


def _modality(kind: str, shape: tuple[int, ...]) -> str:
    """The kind of a modality, for which an encoder is built."""
    if kind in ("image", "video"):
        return "image"
    return {1: "vector", 2: "sequence", 3: "spectrogram"}.get(len(shape), "vector")
