"""Freezing sharpness and generalisation gap of many runs."""

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
from msam_lib.experiments.build import load_data, trained_model
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.runs import measured_rows, provenance_of, with_identity
from msam_lib.results.frozen import path_of, write_frame
from msam_lib.training import Run

SAMPLES, SEED = 300, 0  # of the training split; of their choice


def freeze_sharpness(
    runs: Iterable[Run],
    name: str = "sharpness",
    folder: str | os.PathLike[str] = "figures/data",
    *,
    jobs: int = 1,
    progress: bool = True,
) -> Path:
    """Write every sharpness measure of every block, and the generalisation gap, of finished runs to
    `<folder>/<name>.csv.gz`, and return that path.

    Columns are dataset, fusion, method, label, seed, modality, metric, value; metrics are the
    measures (Keskar's Q in percent, the others in nats) and `normalised_gap` (percent). Runs that
    were measured before are read from their directories.

    Args:
        runs: finished runs.
        name, folder: where to write.
        jobs: processes, one thread each; 1 measures in this one.
        progress: show a progress bar in a terminal or notebook.
    """
    runs = list(runs)
    paths = [r.path for r in runs]
    rows: list[dict[str, Any]] = []
    measured = measured_rows(runs, _measure, _file, jobs=jobs, progress=progress)
    for run, own in zip(runs, measured, strict=True):
        rows += with_identity(Experiment.from_dict(run.config, run.path), own)
    settings = {"samples": SAMPLES, "samples_seed": SEED, "mode": "eval"}
    record = provenance_of(paths) | {"sharpness": settings}
    return write_frame(path_of(name, folder), pd.DataFrame(rows), record)


def _file(path: Path) -> Path:
    """The file of a run's measurements in its directory."""
    return path / f"sharpness-rows-{SAMPLES}-{SEED}.json"


def _measure(path: Path) -> None:
    """Measure one run, unless it was measured before, and write the rows to its directory."""
    if _file(path).exists():
        return
    run = Run(path)
    model, data = trained_model(run), load_data(Experiment.from_dict(run.config, run.path))
    # Each modality's encoder, and all weights together.
    blocks = [*model.modalities, d.ALL]
    sampling = d.Sampling(samples=SAMPLES, seed=SEED)
    table = d.sharpness_table(model, data.train, blocks, sampling=sampling, progress=False)
    gap = d.generalization_gap(model, data.train, data.test)
    rows = [
        {"modality": d.modality_of(r["block"]), "metric": r["measure"], "value": r["value"]}
        for r in table
    ]
    rows += [{"modality": m, "metric": "normalised_gap", "value": v} for m, v in gap.items()]
    # JSON has no NaN.
    rows = [r for r in rows if math.isfinite(r["value"])]
    write_text(_file(path), json.dumps(rows, indent=0) + "\n")
