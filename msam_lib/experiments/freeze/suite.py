"""Running and freezing the suite of one data set: all that its figures are drawn from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msam_lib._utils.processes import process_count
from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.experiments.freeze.landscapes import freeze_landscapes
from msam_lib.experiments.freeze.runs import freeze_runs
from msam_lib.experiments.freeze.sharpness import freeze_sharpness
from msam_lib.experiments.runner import run_all
from msam_lib.experiments.suite import SEEDS, suite, table_experiments


def freeze_suite(
    preset: str = "teach",
    seeds: Sequence[int] = SEEDS,
    *,
    dataset: str = DEFAULT_DATASET,
    store: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] = "figures/data",
    jobs: int | None = None,
    on: str = "local",
    cluster: Mapping[str, Any] | None = None,
) -> Iterator[Path]:
    """Run (or resume) the suite, then freeze measurements, landscapes and sharpness; yields the
    path of each file as it is written.

    Args:
        preset: size of the runs.
        seeds: of the runs; landscapes are measured for the first one.
        dataset: its name.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        folder: of the frozen results.
        jobs: processes; one per core, at most 4, by default.
        on, cluster: where the runs are trained; see `run_all`.
    """
    jobs = process_count(jobs)
    runs = run_all(suite(preset, seeds, dataset), store, jobs=jobs, on=on, cluster=cluster)
    yield freeze_runs(runs, dataset, folder)
    # Landscapes and sharpness belong to rows of the late-fusion table, the former for one seed.
    names = {e.name for e in table_experiments("late", preset, seeds, dataset)}
    tabled = [r for r in runs if r.name in names]
    traced = [r for r in tabled if r.config.get("traces") and r.config["seed"] == seeds[0]]
    yield freeze_landscapes(traced, folder=folder)
    yield freeze_sharpness(tabled, folder=folder, jobs=jobs)
