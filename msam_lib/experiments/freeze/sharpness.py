"""Sharpness and generalisation gap of many runs, measured and frozen."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib import diagnostics as d
from msam_lib._utils.files import write_text
from msam_lib._utils.processes import finished
from msam_lib._utils.progress import progress_bar
from msam_lib.experiments.build import load_data, trained_model
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.runs import provenance_of
from msam_lib.results.frozen import write_frozen
from msam_lib.results.sharpness import IDENTITY
from msam_lib.training import Run

SAMPLES, SEED = 300, 0


def freeze_sharpness(
    runs: Iterable[Run],
    name: str = "sharpness",
    folder: str | os.PathLike[str] = "figures/data",
    *,
    jobs: int = 1,
    progress: bool = True,
) -> Path:
    """Every sharpness measure of every block, and the generalisation gap, of finished runs.

    Writes `<folder>/<name>.csv.gz` (columns dataset, fusion, method, label, seed, modality, metric,
    value; metrics are the measures, Keskar's Q in percent and the others in nats, and
    `normalised_gap` in percent) and its provenance. What was measured before is read from the run's
    directory.

    Args:
        runs: finished runs.
        name, folder: where to write.
        jobs: processes, one thread each; 1 stays in this one.
        progress: show a bar where somebody watches.
    """
    runs = list(runs)
    paths = [r.path for r in runs]
    with progress_bar(total=len(runs), show=progress, desc="sharpness", unit="run") as bar:
        for _, error in finished(_measure, paths, jobs=jobs):
            if error is not None:
                raise error
            bar.update()
    rows: list[dict[str, Any]] = []
    for run in runs:
        experiment = Experiment.from_dict(run.config)
        same = {k: getattr(experiment, k) for k in IDENTITY}
        rows += [same | row for row in json.loads(_file(run.path).read_text())]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    settings = {"samples": SAMPLES, "samples_seed": SEED, "mode": "eval"}
    return write_frozen(
        Path(folder) / f"{name}.csv.gz", text, provenance_of(paths) | {"sharpness": settings}
    )


def _file(path: Path) -> Path:
    return path / f"sharpness-rows-{SAMPLES}-{SEED}.json"


def _measure(path: Path) -> None:
    """Measure one run, unless that has been done, and keep the rows in its directory."""
    if _file(path).exists():
        return
    run = Run(path)
    model, data = trained_model(run), load_data(Experiment.from_dict(run.config))
    blocks = [*model.modalities, "all"]
    table = d.sharpness_table(model, data.train, blocks, samples=SAMPLES, seed=SEED, progress=False)
    gap = d.generalization_gap(model, data.train, data.test)
    rows = [
        {"modality": _modality(r["block"]), "metric": r["measure"], "value": r["value"]}
        for r in table
    ]
    rows += [{"modality": m, "metric": "normalised_gap", "value": v} for m, v in gap.items()]
    rows = [r for r in rows if math.isfinite(r["value"])]
    write_text(_file(path), json.dumps(rows, indent=0) + "\n")


def _modality(block: object) -> str:
    return "fused" if block == "all" else str(block)
