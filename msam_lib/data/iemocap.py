"""`iemocap`: acted and improvised dialogues, four emotions by words, voice and face.

IEMOCAP is given by its authors to who signs their form, for academic use. Read are the features of
MMIN, which CGGM takes: `A/comparE.h5` (130 numbers per frame), `V/denseface.h5` (342),
`L/bert_large.h5` (1024), each with an array per utterance; `A/comparE_mean_std.h5` (of every fold);
and `target/FOLD/{trn,val,tst}_{label,int2name}.npy`. Prepared once by `python -m msam_lib prepare
iemocap --source FOLDER`.

Preprocessing as in the code of CGGM: the audio is standardised by the statistics of the fold's
training part, and sequences are padded to 350 (audio), 50 (visual) and 22 steps (text); longer ones
are cut. Parts are those of the fold; CGGM runs fold 1 alone. The files name the classes by numbers
only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._hdf5 import Hdf5
from msam_lib.data._parts import named_parts, need_classes, sequence, stored_parts
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.media import read_array
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetCorrupt, MsamError

FILES = {"text": "L/bert_large.h5", "audio": "A/comparE.h5", "visual": "V/denseface.h5"}
SHAPES = {"text": (22, 1024), "audio": (350, 130), "visual": (50, 342)}
LISTS = {"train": "trn", "val": "val", "test": "tst"}
EMOTIONS = 4
VERSION = 1  # of the recipe: raised when the same options would give other arrays


def prepare(source: Path, cache: Path | None = None, *, jobs: int = 1, fold: int = 1) -> Prepared:
    """Read the features of a fold's utterances once, to float16.

    Args:
        source: the folder with `A`, `V`, `L` and `target`.
        cache: see `msam_lib.data.prepared`.
        jobs: threads.
        fold: number of the fold.

    Raises:
        DatasetMissing, DatasetCorrupt: naming the first file that is missing or damaged.
    """
    recipe = _recipe(fold)
    rows = [row for part in LISTS for row in _utterances(source, fold, part)]
    counts = Counter(row["name"] for row in rows)
    if twice := [name for name, n in counts.items() if n > 1]:
        raise DatasetCorrupt(
            f"The lists of fold {fold} in {source} name {min(twice)} more than once "
            f"({len(twice)} such utterances)."
        )
    files = {m: Hdf5(source / path) for m, path in FILES.items()}
    statistics = Hdf5(source / "A" / "comparE_mean_std.h5")
    mean, std = (statistics.read(f"{fold}/{s}") for s in ("mean", "std"))
    if mean.shape != (SHAPES["audio"][1],) or std.shape != mean.shape or not (std > 0).all():
        raise DatasetCorrupt(
            f"{statistics.path}: mean and std of fold {fold} have the shapes {mean.shape} and "
            f"{std.shape}; expected are {SHAPES['audio'][1]} numbers, std above 0."
        )

    def read(row: Row) -> Mapping[str, np.ndarray]:
        out = {}
        for m, (steps, size) in SHAPES.items():
            x = files[m].read(row["name"])
            if x.ndim != 2 or x.shape[1] != size or not len(x):
                raise DatasetCorrupt(
                    f"{files[m].path}: {row['name']} has shape {x.shape}; expected is (T, {size})."
                )
            out[m] = sequence((x - mean) / std if m == "audio" else x, steps)
        return out

    arrays = {m: (shape, "<f2") for m, shape in SHAPES.items()}
    return write_prepared(Plan("iemocap", recipe, rows, arrays, read), cache, jobs=jobs)


def load(*, seed: Seed = 0, modalities: Names | None = None, fold: Count = 1) -> DataSplits:
    """IEMOCAP as prepared: sequences text (22, 1024), audio (350, 130) and visual (50, 342); four
    classes.

    Args:
        seed: without effect; the parts are those of the fold.
        modalities: from "text", "audio" and "visual", all by default.
        fold: as prepared.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, or a part lacks a class.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, list(FILES))
    recipe = _recipe(fold)
    done = open_prepared("iemocap", recipe, prepare, fold=fold)
    labels = [int(s["label"]) for s in done.samples]
    classes = tuple(f"emotion {c}" for c in range(EMOTIONS))
    where = named_parts(done.samples)
    need_classes("IEMOCAP", classes, labels, where)
    parts = stored_parts(done, names, torch.tensor(labels), where)
    # An utterance's name begins with its session: Ses01F_impro01_M000.
    heard = {p: {done.samples[i]["name"][:5] for i in rows} for p, rows in where.items()}
    shared = sorted(heard["train"] & heard["test"])
    return DataSplits(
        name="iemocap",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality("sequence", SHAPES[m]) for m in names},
        classes=classes,
        provenance=(
            "IEMOCAP (real; Busso et al., Language Resources and Evaluation 2008; academic use on "
            f"a signed form), features of MMIN: {len(labels)} utterances, fold {fold}; sessions "
            f"both in training and test: {', '.join(shared) or 'none'}."
        ),
        recipe=recipe | {"modalities": names},
    )


def _recipe(fold: int) -> dict[str, Any]:
    """The options that determine the prepared arrays."""
    if fold < 1:
        raise MsamError(f"fold={fold}; it must be at least 1.")
    return {"version": VERSION, "fold": fold}


def _utterances(source: Path, fold: int, part: str) -> list[Row]:
    """A row per utterance of a part: part, name, label."""
    folder = source / "target" / str(fold)
    paths = [folder / f"{LISTS[part]}_{kind}.npy" for kind in ("label", "int2name")]
    labels, names = (read_array(path) for path in paths)
    if labels.ndim != 2 or labels.shape[1] != EMOTIONS or not (labels.sum(1) == 1).all():
        raise DatasetCorrupt(
            f"{paths[0]} has shape {labels.shape}; expected is (N, {EMOTIONS}), a single 1 a row."
        )
    if len(names) != len(labels) or names.dtype.kind not in "SU":
        raise DatasetCorrupt(
            f"{paths[1]} has shape {names.shape} ({names.dtype}); expected are {len(labels)} names."
        )
    first = names.reshape(len(names), -1)[:, 0].tolist()
    texts = [x.decode() if isinstance(x, bytes) else x for x in first]
    return [
        {"part": part, "name": name, "label": str(int(label))}
        for name, label in zip(texts, labels.argmax(1), strict=True)
    ]
