"""Freezing loss landscapes of trained runs, for the counterpart of the paper's Figure 1."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.diagnostics import Sampling, plane
from msam_lib.experiments.build import load_data, trained_model
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.runs import provenance_of, with_identity
from msam_lib.results.frozen import path_of, write_frame
from msam_lib.results.landscape import Landscape
from msam_lib.training import Run

STEPS, SPAN = 21, 1.0  # points per axis; half length of an axis, in units of the directions
SAMPLES, SEED = 300, 0  # of the training split; of samples and directions


def freeze_landscapes(
    runs: Iterable[Run],
    name: str = "landscapes",
    folder: str | os.PathLike[str] = "figures/data",
    *,
    progress: bool = True,
) -> Path:
    """Write the loss over one plane of all weights for each run, along the same normalised
    directions, to `<folder>/<name>.csv.gz`, and return that path.

    Columns are dataset, fusion, method, label, seed, x, y, metric, value. A plane that was computed
    before is read from the run's directory.

    Args:
        runs: finished runs with models of one architecture.
        name, folder: where to write.
        progress: show a progress bar in a terminal or notebook.
    """
    runs = list(runs)
    rows: list[dict[str, Any]] = []
    for run in runs:
        experiment = Experiment.from_dict(run.config, run.path)
        rows += with_identity(experiment, _plane_of(run, experiment, progress).rows())
    # What the planes depend on besides the runs.
    settings = {"steps": STEPS, "span": SPAN, "samples": SAMPLES, "directions_seed": SEED}
    record = provenance_of([r.path for r in runs]) | {"landscape": settings}
    return write_frame(path_of(name, folder), pd.DataFrame(rows), record)


def _plane_of(run: Run, experiment: Experiment, progress: bool) -> Landscape:
    """The plane of one run, measured unless its directory has it."""
    path = run.path / f"landscape-all-{STEPS}-{SAMPLES}-{SEED}.npz"
    if not path.exists():
        data = load_data(experiment).train
        landscape = plane(
            trained_model(run),
            data,
            steps=STEPS,
            span=SPAN,
            sampling=Sampling(samples=SAMPLES, seed=SEED),
            progress=progress,
        )
        landscape.save(path)
    return Landscape.load(path)
