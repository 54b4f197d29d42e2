"""Freezing loss landscapes of trained runs: one plane for each run of the suite, and the surfaces
that answer to the paper's Figure 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.diagnostics import Sampling, plane
from msam_lib.errors import MsamError
from msam_lib.experiments.build import load_data, trained_model
from msam_lib.experiments.comparison import PlannedRow
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.runs import provenance_of, with_identity
from msam_lib.experiments.runner import run_all
from msam_lib.results.frozen import path_of, write_frame
from msam_lib.results.landscape import Landscape
from msam_lib.training import Run

ALL = "all"  # the block of all weights
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
        rows += with_identity(experiment, _plane_of(run, experiment, progress=progress).rows())
    # What the planes depend on besides the runs.
    settings = {"steps": STEPS, "span": SPAN, "samples": SAMPLES, "directions_seed": SEED}
    record = provenance_of([r.path for r in runs]) | {"landscape": settings}
    return write_frame(path_of(name, folder), pd.DataFrame(rows), record)


def measure_surfaces(
    plan: Sequence[PlannedRow],
    name: str,
    *,
    steps: int = 51,
    store: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] = "figures/data",
    jobs: int | None = None,
    on: str = "local",
    cluster: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Path:
    """Train (or resume) every run of a plan, measure the training loss over a plane of all weights
    and over one inside each modality's encoder, write them to `<folder>/<name>.csv.gz`, and return
    that path.

    All runs have the same normalised directions. Columns are dataset, fusion, method, label, seed,
    block (`"all"` or a modality), x, y, metric, value: `loss` (nats) at every point for the first
    seed, and for every seed `rise` at the origin (see `Landscape.rise`).

    Args:
        plan: the rows, of one data set and one fusion.
        name, folder: where to write.
        steps: points per axis.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        jobs: processes; one per core, at most 4, by default.
        on, cluster: where the runs are trained; see `run_all`.
        progress: show a progress bar in a terminal or notebook.

    Raises:
        MsamError: an empty plan.
    """
    planned = [e for row in plan for e in row.experiments]
    if not planned:
        raise MsamError("No method to measure: none of those named applies under this fusion.")
    runs = {r.name: r for r in run_all(planned, store, jobs=jobs, on=on, cluster=cluster)}
    rows: list[dict[str, Any]] = []
    for row in plan:
        for k, experiment in enumerate(row.experiments):
            run = runs[experiment.name]
            for block in (ALL, *load_data(experiment).modalities):
                surface = _plane_of(run, experiment, block, steps, progress=progress)
                found = [{"x": 0.0, "y": 0.0, "metric": "rise", "value": surface.rise()}]
                if k == 0:
                    found += [point for point in surface.rows() if point["metric"] == "loss"]
                same = {"label": row.label, "block": block}
                rows += [r | same for r in with_identity(experiment, found)]
    columns = ["dataset", "fusion", "method", "label", "seed", "block", "x", "y", "metric", "value"]
    settings = {"steps": steps, "span": SPAN, "samples": SAMPLES, "directions_seed": SEED}
    record = provenance_of([r.path for r in runs.values()]) | {"landscape": settings}
    frame = pd.DataFrame(rows)[columns]
    return write_frame(path_of(name, folder), frame, record, float_format="%.5g")


def _plane_of(
    run: Run, experiment: Experiment, block: str = ALL, steps: int | None = None, *, progress: bool
) -> Landscape:
    """The plane of one run in a block of its weights, measured unless its directory has it."""
    steps = STEPS if steps is None else steps
    path = run.path / f"landscape-{block}-{steps}-{SAMPLES}-{SEED}.npz"
    if not path.exists():
        data = load_data(experiment).train
        landscape = plane(
            trained_model(run),
            data,
            block,
            steps=steps,
            span=SPAN,
            sampling=Sampling(samples=SAMPLES, seed=SEED),
            progress=progress,
        )
        landscape.save(path)
    return Landscape.load(path)
