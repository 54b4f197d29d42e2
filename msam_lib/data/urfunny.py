"""`urfunny`: UR-FUNNY, punchlines of TED talks, funny or not, by picture, voice and words.

Read from the pickle of MultiBench (`humor.pkl`), which the published comparisons use: {train,
valid, test: {vision (N, T, 371), audio (N, T, 81), text (N, T, 300), labels, id}}, aligned by word
and padded with zeros at the front. Prepared once by `python -m msam_lib prepare urfunny --source
humor.pkl`; the pickle is read by a restricted reader (`msam_lib.data.pickles`), whole, so preparing
takes the memory of the file.

Preprocessing as in the code of AGM: samples without words are dropped, -inf in the audio becomes 0,
leading steps without a word are cut, and the rest is padded at the end, here to T steps, which the
Transformer leaves out. The class is 1 (funny) where the label is at least 1, so labels of 0/1 and
of -1/+1 are read alike. The parts are the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._parts import named_parts, need_classes, sequence, stored_parts
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.pickles import read_pickle
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetCorrupt

SIZES = {"visual": 371, "audio": 81, "text": 300}
KEYS = {"visual": "vision", "audio": "audio", "text": "text"}  # in the pickle
NAMES = {"train": "train", "val": "valid", "test": "test"}
CLASSES = ("not funny", "funny")
RECIPE = {"version": 1}


def prepare(
    source: Path, cache: Path | None = None, *, jobs: int = 1, sha256: str = ""
) -> Prepared:
    """Convert the pickle once, to float16.

    Args:
        source: `humor.pkl`, or the folder that holds it.
        cache: see `msam_lib.data.prepared`.
        jobs: threads.
        sha256: expected digest of the file; "" accepts any, for nothing in it is run.

    Raises:
        DatasetMissing, DatasetCorrupt: what is missing or damaged.
    """
    path = source / "humor.pkl" if source.is_dir() else source
    parts = _checked(read_pickle(path, sha256), path)
    steps = max(part["text"].shape[1] for part in parts.values())
    rows: list[Row] = []
    for name, part in parts.items():
        spoken = part["text"].sum(axis=(1, 2)) != 0
        for k in np.flatnonzero(spoken):
            label = int(float(np.ravel(part["labels"][k])[0]) >= 1)
            rows.append({"part": name, "row": str(k), "label": str(label)})

    def read(row: Row) -> Mapping[str, np.ndarray]:
        part, k = parts[row["part"]], int(row["row"])
        first = int(np.flatnonzero(part["text"][k].any(axis=1))[0])
        return {m: sequence(part[m][k][first:], steps) for m in SIZES}

    arrays = {m: ((steps, size), "<f2") for m, size in SIZES.items()}
    return write_prepared(Plan("urfunny", RECIPE, rows, arrays, read), cache, jobs=jobs)


def load(*, seed: Seed = 0, modalities: Names | None = None) -> DataSplits:
    """UR-FUNNY as prepared: sequences visual (T, 371), audio (T, 81), text (T, 300); two classes.

    Args:
        seed: without effect; the parts are the published ones.
        modalities: from "visual", "audio" and "text", all by default.

    Raises:
        MsamError: an unknown modality.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, list(SIZES))
    done = open_prepared("urfunny", RECIPE, prepare)
    labels = [int(s["label"]) for s in done.samples]
    where = named_parts(done.samples)
    need_classes("UR-FUNNY", CLASSES, labels, where)
    parts = stored_parts(done, names, torch.tensor(labels), where)
    return DataSplits(
        name="urfunny",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality("sequence", parts["train"].inputs[m].shape[1:]) for m in names},
        classes=CLASSES,
        provenance=(
            "UR-FUNNY (real; Hasan et al., EMNLP-IJCNLP 2019; TED talks, for research), features "
            f"as published with MultiBench: {len(labels)} samples with words."
        ),
        recipe=RECIPE | {"modalities": names},
    )


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
