"""`mimic`: intensive care by 48 hours of measurements (`ehr`) and the last chest X-ray (`cxr`).

MIMIC-IV and MIMIC-CXR-JPG can be had from PhysioNet after training and a data use agreement;
nothing about single patients may be handed on, which includes the prepared folder. The files must
be in the layout that DrFuse extracts and MASAM reads:

    splits/foldK/stays_{train,val,test}.csv, splits/foldK/train_stats.yaml,
    time_series/STAY.csv, cxr/DICOM.jpg (or another folder: `images=...`)

and are prepared by `python -m msam_lib prepare mimic --source FOLDER`.

Preprocessing as in the code of MASAM: 48 hourly steps; measurements are carried forward, before the
first one the training median; (x - median) / interquartile range; masks of what was measured are
appended. X-rays are resized and cut to a square of `side` pixels; see
`msam_lib.data._radiographs` for the variation in training. Only stays with an X-ray are taken (the
"matched" subset). Parts are those of the fold, with its own validation part.

`task="phenotype"` has 25 labels, `task="mortality"` one (death in the unit); both are measured by
the macro average of the areas under the precision-recall curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._mimic_source import STEPS, series_of, stays, time_series
from msam_lib.data._parts import named_parts, need_samples, stored_parts
from msam_lib.data._radiographs import Radiographs
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.media import read_image
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.data.transforms import AS_STORED
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError, unknown_name
from msam_lib.tasks import Multilabel

TASKS = ("phenotype", "mortality")
VERSION = 1  # of the recipe: raised when the same options would give other arrays


def prepare(
    source: Path,
    cache: Path | None = None,
    *,
    jobs: int = 1,
    fold: int = 1,
    side: int = 256,
    images: str = "",
) -> Prepared:
    """Read the time series and X-rays of a fold once.

    Args:
        source: the folder with `splits` and `time_series`.
        cache: see `msam_lib.data.prepared`.
        jobs: threads that decode.
        fold: number of the fold, whose training part scales the measurements.
        side: pixels of a side at which X-rays are kept.
        images: folder of the X-rays; `cxr` in the source by default.

    Raises:
        DatasetMissing, DatasetCorrupt: naming the first file that is missing or damaged.
    """
    recipe = _recipe(fold, side)
    rows = stays(source, fold)
    pictures = Path(images) if images else source / "cxr"
    missing = [row for row in rows if not (pictures / f"{row['dicom']}.jpg").is_file()]
    if missing:
        raise DatasetMissing(
            f"{pictures / missing[0]['dicom']}.jpg is not there ({len(missing)} of {len(rows)} "
            "X-rays are missing). Name their folder: --data-options images=FOLDER"
        )
    series = series_of(source, fold, rows[0]["stay"])

    def read(row: Row) -> Mapping[str, np.ndarray]:
        picture = read_image(pictures / f"{row['dicom']}.jpg", side, side, middle=True)
        # X-rays are grey: the three channels are the same.
        return {"ehr": time_series(source, row["stay"], series), "cxr": picture[:1]}

    arrays = {"ehr": ((STEPS, series.size), "<f4"), "cxr": ((1, side, side), "|u1")}
    return write_prepared(Plan("mimic", recipe, rows, arrays, read), cache, jobs=jobs)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    task: str = "phenotype",
    fold: Count = 1,
    side: Count = 256,
    size: Count = 224,
) -> DataSplits:
    """MIMIC as prepared: a sequence ehr (48, F), an image cxr (3, size, size); labels (N, 25), or
    (N, 1) of `task="mortality"`.

    Args:
        seed: without effect; the parts are those of the fold.
        modalities: from "ehr" and "cxr", both by default.
        task: `"phenotype"` or `"mortality"`.
        fold, side: as prepared.
        size: pixels of a side of the X-rays.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, a part is empty, or a label never (or
            always) occurs in the training part.
    """
    check_arguments(load, locals())
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    names = choose_modalities(modalities, ["ehr", "cxr"])
    recipe = _recipe(fold, side)
    done = open_prepared("mimic", recipe, prepare, fold=fold, side=side)
    columns = [c for c in done.samples[0] if c.startswith("phenotype:")]
    columns = ["mortality"] if task == "mortality" else columns
    labels = [c.removeprefix("phenotype:") for c in columns]
    targets = torch.tensor([[float(s[c]) for c in columns] for s in done.samples])
    where = named_parts(done.samples)
    need_samples("MIMIC", where)
    parts = stored_parts(
        done, names, targets, where,
        lambda m, p: Radiographs(size, p == "train") if m == "cxr" else AS_STORED,
    )  # fmt: skip
    share = parts["train"].targets.double().mean(0)
    for name, p in zip(labels, share.tolist(), strict=True):
        if p in (0, 1):
            raise DatasetCorrupt(
                f"The label {name!r} is {'on' if p else 'off'} in all {len(parts['train'])} "
                "training stays, so it cannot be learnt; prepare the complete fold."
            )
    kinds = {"ehr": "sequence", "cxr": "image"}
    return DataSplits(
        name="mimic",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality(kinds[m], parts["train"].inputs[m].shape[1:]) for m in names},
        classes=tuple(labels),
        provenance=(
            "MIMIC-IV and MIMIC-CXR (real; Johnson et al. 2019 and 2023; PhysioNet, credentialed "
            f"access): {len(targets)} stays with an X-ray, fold {fold}; {_shared(done.samples)}. "
            f"Of the training stays {100 * share.min():.1f} to {100 * share.max():.1f} % have a "
            "label."
        ),
        recipe=recipe | {"task": task, "size": size, "modalities": names},
        other_task=Multilabel(len(labels), share.tolist()),
    )


def _recipe(fold: int, side: int) -> dict[str, Any]:
    """The options that determine the prepared arrays."""
    for name, value in {"fold": fold, "side": side}.items():
        if value < 1:
            raise MsamError(f"{name}={value}; it must be at least 1.")
    return {"version": VERSION, "fold": fold, "side": side}


def _shared(samples: Sequence[Row]) -> str:
    """How many patients are in more than one part, in words."""
    parts: dict[str, set[str]] = {}
    for s in samples:
        parts.setdefault(s["subject"], set()).add(s["part"])
    both = sum(len(p) > 1 for p in parts.values())
    return f"{both} of {len(parts)} patients have stays in several parts"
