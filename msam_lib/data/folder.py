"""`folder`: your own samples, from a table with a column per modality and a label.

The table is a csv file with a header, or a jsonl file with an object per line. A cell of a
modality's column is the path of an image, video, sound, .npy or .txt file, seen from the table's
folder; or numbers, separated by spaces (in jsonl also a list); or, in the columns that `text`
names, a text itself. The first row decides what a column holds. All columns but label, split and
group are modalities, unless `modalities` names some.

    face,voice,age,said,label,split
    faces/1.jpg,voices/1.wav,31,"Well, finally!",happy,train

    load_dataset("folder", source="data.csv", text="said")

Files are decoded once, at the first load, into a prepared folder of the cache; changed files are
decoded again. Images and the first frame of a video become (3, size, size), cut and mirrored at
random in training unless `augment=False` (a mirrored letter is another one); sounds log-mel
spectrograms (1, 64, frames) of `seconds` at 16 kHz; numbers and arrays stay what they are, vectors
standardised with the training part's statistics.

Texts become what `tokenizer` says, by default counts of their words in `words` hashed places, which
needs no vocabulary and has none to leak from other parts; or their first `length` characters; or
with `"hf:NAME"` the first `length` token ids of a Hugging Face tokenizer (extra `hf`), for an
encoder of the same name, which takes the attention mask from the ids:

    python -m msam_lib train --dataset folder --source data.csv --encoder said=hf:NAME,face=resnet18
        --data-options text=said tokenizer=hf:NAME length=64

Parts come from the column `split` (train, val, test), or are drawn: by class, or by `group` (a
person, say), so that no group is in two parts. Without val rows, these are drawn from train.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.huggingface import PREFIX
from msam_lib._utils.options import Choice, Count, Positive, Range
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._cells import (
    TEXTS,
    cell_sample,
    cell_text,
    check_texts,
    column_kind,
    fingerprint,
)
from msam_lib.data._parts import stored_parts, table_parts
from msam_lib.data._texts import CODINGS, coding
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.prepared import Plan, Row, prepare
from msam_lib.data.stored import StoredArray
from msam_lib.data.tables import read_rows
from msam_lib.data.transforms import AS_STORED, Images, Numbers, Transform
from msam_lib.errors import DatasetCorrupt, MsamError

VERSION = 1  # of the recipe: raised when the same options would give other arrays


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
    augment: bool = True,
    text: Names = (),
    tokenizer: Annotated[str, Choice(CODINGS, prefix=PREFIX)] = "words",
    words: Count = 4096,
    length: Count = 128,
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
        augment: cut and mirror images at random in training, see `transforms.Images`; False where
            what they show then changes, as with digits and letters.
        text: columns of texts; those of .txt files need not be named.
        tokenizer: `"words"`, `"characters"`, or `"hf:"` and the name or folder of a tokenizer.
        words: places of hashed words.
        length: characters or tokens of a text: its first ones.

    Raises:
        MsamError: no source, a value that is not allowed, a column of another kind, or a tokenizer
            that cannot be loaded.
        DatasetMissing: the table or one of its files is not there.
        DatasetCorrupt: a column is missing, a cell or a file cannot be read, a text is empty, or a
            part has no sample of some class.
    """
    check_arguments(load, locals())
    if not source:
        raise MsamError("source=''; name the table: --source data.csv, or source='data.csv'.")
    table = Path(source)
    named = [[x] if isinstance(x, str) else x or () for x in (modalities, text)]
    rows = read_rows(table, [label, *([group] if group else []), *named[0], *named[1]])
    columns = [c for c in rows[0] if c not in (label, split, group)]
    names = choose_modalities(modalities, columns)
    said = choose_modalities(named[1], columns) if text else ()
    kinds = {m: column_kind(m, rows[0][m], m in said) for m in names}
    texts = [m for m, kind in kinds.items() if kind in TEXTS]
    if tokenizer != "words" and not (texts or said):
        raise MsamError(
            f"tokenizer={tokenizer!r}, but no column holds texts; name those that do: text=COLUMN."
        )
    for m in texts:
        check_texts(table, rows, m, kinds[m])
    coded = coding(tokenizer if texts else "words", words, length)

    def read(row: Row) -> Mapping[str, np.ndarray]:
        return {
            m: coded.code(cell_text(table, row, m, kinds[m]))
            if m in texts
            else cell_sample(table, row, m, kinds[m], side, seconds)
            for m in names
        }

    arrays = {m: (x.shape, x.dtype.str) for m, x in read(rows[0]).items()}
    arrays |= dict.fromkeys(texts, (coded.modality.shape, coded.dtype))
    recipe = {
        "version": VERSION, "modalities": names, "side": side, "seconds": seconds,
        "content": fingerprint(table, rows, kinds),
    }  # fmt: skip
    if texts:
        recipe["texts"] = [texts, coded.identity or tokenizer, coded.modality.shape]
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
    scales = {m: _standardised(x.view(fit)) if len(x.shape) == 2 and m not in texts else AS_STORED
               for m, x in stored.items()}  # fmt: skip

    def look(m: str, part: str) -> Transform:
        return (
            Images(size, augment and part == "train")
            if kinds[m] in ("image", "video")
            else scales[m]
        )

    parts = stored_parts(done, names, targets, where, look)
    shapes = {m: tuple(x.shape[1:]) for m, x in parts["train"].inputs.items()}
    return DataSplits(
        name="folder",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={
            m: coded.modality if m in texts else Modality(_modality(kinds[m], shapes[m]), shapes[m])
            for m in names
        },
        classes=tuple(classes),
        provenance=f"{len(rows)} samples of {table.name}.",
        recipe=recipe | {"seed": seed, "label": label, "split": split, "group": group}
        | {"val_share": val_share, "test_share": test_share, "size": size}
        | {"augment": augment},
    )  # fmt: skip


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
