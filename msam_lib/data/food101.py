"""`food101`: UPMC Food-101, dishes by a picture from the web and the title of its page.

Read from the published folders `images/{train,test}/CLASS/FILE.jpg` and the tables
`texts/train_titles.csv` and `texts/test_titles.csv` (Image_path, text, label; with or without a
header), about 90,000 pairs of 101 classes. Prepared once by `python -m msam_lib prepare food101
--source FOLDER`. The titles nearly always contain the dish's name: text dominates as in few other
sets. For research; pictures and titles belong to their authors.

Pictures are cut to a square in their middle and kept at `side` pixels; in training a random piece
is cut out and mirrored. Some published files are truncated: up to 1 % of the pictures may be
undecodable, they are kept as grey ones and counted. Published code makes tokens of the titles with
a downloaded tokenizer; here `text="words"` counts words in `words` hashed places, and
`text="characters"` takes the first 128 characters. There is no published validation part: it is
drawn from the training part (0.075 of it are about the 5,000 that QMF takes), where some published
code selects by the test part.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count, Range
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._parts import need_classes, pictures, stored_parts, with_validation
from msam_lib.data._texts import CODINGS, coding
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.media import content, read_image
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError, unknown_name

COLUMNS = ("Image_path", "text", "label")
LENGTH = 128  # characters
TOLERATED = 0.01  # share of undecodable pictures
GREY = 128
VERSION = 1  # of the recipe: raised when the same options would give other arrays


def prepare(
    source: Path,
    cache: Path | None = None,
    *,
    jobs: int = 1,
    text: str = "words",
    words: int = 4096,
    side: int = 256,
) -> Prepared:
    """Decode the pictures and titles once.

    Args:
        source: the folder with `images` and `texts`.
        cache: see `msam_lib.data.prepared`.
        jobs: threads that decode.
        text: `"words"` or `"characters"`.
        words: places of hashed words.
        side: pixels of a side at which pictures are kept.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: a table or picture is missing.
        DatasetCorrupt: a table is damaged, or more than 1 % of the pictures cannot be decoded.
    """
    recipe = _recipe(text, words, side)
    listed = [row for part in ("train", "test") for row in _listed(source, part)]
    titles = {row["image"]: row.pop("title") for row in listed}
    missing = [row["image"] for row in listed if not (source / row["image"]).is_file()]
    if missing:
        raise DatasetMissing(
            f"{source / missing[0]} is not there ({len(missing)} of {len(listed)} pictures are "
            "missing). Fetch the complete pictures, or delete their lines in the tables."
        )
    coded = coding(text, words, LENGTH)
    damaged: list[str] = []  # a list, for threads append to it

    def read(row: Row) -> Mapping[str, np.ndarray]:
        title, replaced = titles[row["image"]], 0
        try:
            picture = read_image(source / row["image"], side, side, middle=True)
        except DatasetCorrupt as error:
            damaged.append(row["image"])
            if len(damaged) > TOLERATED * len(listed):
                raise DatasetCorrupt(
                    f"{error} It is one of {len(damaged)} damaged pictures, more than 1 % of "
                    f"{len(listed)}."
                ) from error
            picture, replaced = np.full((3, side, side), GREY, np.uint8), 1
        return {
            "visual": picture,
            "text": coded.code(title),
            "replaced": np.array(replaced, np.uint8),
        }

    arrays = {
        "visual": ((3, side, side), "|u1"),
        "text": (coded.modality.shape, coded.dtype),
        "replaced": ((), "|u1"),
    }
    return write_prepared(Plan("food101", recipe, listed, arrays, read), cache, jobs=jobs)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    val_share: Annotated[float, Range(above=0, below=1)] = 0.075,
    text: str = "words",
    words: Count = 4096,
    side: Count = 256,
    size: Count = 224,
) -> DataSplits:
    """UPMC Food-101 as prepared: visual (3, size, size), and text, a vector (words) or characters
    (128); 101 classes.

    Args:
        seed: draws the validation samples.
        modalities: from "visual" and "text", both by default.
        val_share: share in (0, 1) of the training samples that validate.
        text, words, side: as prepared.
        size: pixels of a side of the pictures.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, or a part lacks a class.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, ["visual", "text"])
    recipe = _recipe(text, words, side)
    done = open_prepared("food101", recipe, prepare, text=text, words=words, side=side)
    classes = tuple(sorted({s["label"] for s in done.samples}))
    labels = [classes.index(s["label"]) for s in done.samples]
    where = with_validation(done.samples, labels, val_share, seed)
    need_classes("UPMC Food-101", classes, labels, where)
    parts = stored_parts(done, names, torch.tensor(labels), where, pictures(size))
    kinds = {
        "visual": Modality("image", (3, size, size)),
        "text": coding(text, words, LENGTH).modality,
    }
    replaced = int(np.load(done.folder / "replaced.npy").sum())
    return DataSplits(
        name="food101",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: kinds[m] for m in names},
        classes=classes,
        provenance=(
            "UPMC Food-101 (real; Wang et al., ICME workshops 2015; for research): "
            f"{len(labels)} pairs of {len(classes)} classes, validation samples from the training "
            f"part. {replaced} pictures could not be decoded and are grey."
        ),
        recipe=recipe | {"seed": seed, "val_share": val_share, "size": size, "modalities": names},
    )


def _recipe(text: str, words: int, side: int) -> dict[str, Any]:
    """The options that determine the prepared arrays."""
    if text not in CODINGS:
        raise unknown_name("text", text, CODINGS)
    for name, value in {"words": words, "side": side}.items():
        if value < 1:
            raise MsamError(f"{name}={value}; it must be at least 1.")
    return {"version": VERSION, "text": text, "words": words, "side": side}


def _listed(source: Path, part: str) -> list[Row]:
    """A row per line of a table: part, image (path below the source), label, title."""
    path = source / "texts" / f"{part}_titles.csv"
    if not path.is_file():
        raise DatasetMissing(
            f"{path} is not there: {source} is not UPMC Food-101's folder. It must hold "
            "texts/train_titles.csv, texts/test_titles.csv and images."
        )
    lines = list(csv.reader(io.StringIO(content(path).decode("utf-8", "replace"))))
    header = [cell.lower() for cell in lines[0]] if lines else []
    places = list(range(3))
    if lines and all(c.lower() in header for c in COLUMNS):
        places = [header.index(c.lower()) for c in COLUMNS]
        lines = lines[1:]
    rows = []
    for number, cells in enumerate(lines, start=1):
        if len(cells) <= max(places) or not cells[places[0]].lower().endswith((".jpg", ".jpeg")):
            raise DatasetCorrupt(
                f"{path}, line {number} of the samples: {cells[:3]}; expected are "
                f"{', '.join(COLUMNS)}."
            )
        image, title, label = (cells[k] for k in places)
        file = f"images/{part}/{label}/{image.replace(chr(92), '/').rpartition('/')[2]}"
        rows.append({"part": part, "image": file, "label": label, "title": title})
    if not rows:
        raise DatasetCorrupt(f"{path} lists no samples.")
    return rows
