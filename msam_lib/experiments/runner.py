"""Running many experiments, several at a time; all others finish where one fails."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msam_lib._utils.cluster import check_place, finished_on
from msam_lib._utils.files import sweep_temporary, write_text
from msam_lib._utils.processes import process_count
from msam_lib._utils.progress import progress_bar
from msam_lib.errors import RunBusy, RunsFailed
from msam_lib.experiments.build import load_data, run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.training import Run, default_store

BUSY_WAIT = 1.0  # seconds before a run that another process trains is looked at again


def run_all(
    experiments: Iterable[Experiment],
    store: str | os.PathLike[str] | None = None,
    *,
    jobs: int | None = None,
    on: str = "local",
    cluster: Mapping[str, Any] | None = None,
    progress: bool = True,
    on_done: Callable[[Run], None] | None = None,
) -> list[Run]:
    """The runs of experiments, trained (or resumed) several at a time unless they are finished.

    A run whose process dies is taken up again, at most twice. A run that another command trains at
    the same time is left to it, and waited for at the end.

    Args:
        experiments: in the order of the result.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        jobs: processes, one thread each; one per core, at most 4, by default. 1 trains in this
            process and shows a bar for every run.
        on: `"local"`: processes here; `"dask"`: workers of dask here; `"slurm"`: a job for each
            worker; or the address of a dask scheduler, such as `"tcp://host:8786"`. The workers
            have to see the same store.
        cluster: options of dask's `LocalCluster` or `SLURMCluster`, such as `queue`, `walltime`.
        progress: show a progress bar in a terminal or notebook.
        on_done: called with every run as it finishes.

    Raises:
        RunsFailed: some failed; raised after all others have finished, with their names and
            errors.
        MsamError: `jobs` is less than 1, or an unknown place.
    """
    experiments = list(experiments)
    folder = default_store() if store is None else Path(store)
    jobs = process_count(jobs)
    check_place(on)
    # Errors are collected, so that one failure does not end the others.
    failed: dict[str, Exception] = {}
    runs = {e.name: Run(folder / e.name) for e in experiments}
    missing = list({e.name: e for e in experiments if not runs[e.name].finished}.values())
    # In one process each run shows its bar; in several, one bar counts the runs.
    alone = on == "local" and (jobs == 1 or len(missing) < 2)
    if missing and not alone:
        _prepare(missing)
    task = functools.partial(_run_one, folder=folder.resolve(), progress=progress and alone)
    show = progress and not alone
    with progress_bar(total=len(missing), show=show, desc="runs", unit="run") as bar:
        while missing:
            busy = []
            ended = finished_on(on, task, missing, jobs=1 if alone else jobs, options=cluster)
            for experiment, error in ended:
                if isinstance(error, RunBusy):  # in good hands; looked at again at the end
                    busy.append(experiment)
                    continue
                if error is not None:
                    failed[experiment.name] = error
                elif on_done is not None:
                    on_done(runs[experiment.name])
                bar.set_postfix_str(f"{experiment.label}, {experiment.fusion}", refresh=False)
                bar.update()
            missing = _free_again(busy, runs)
    for run in runs.values():  # one that another process finished, and died right after
        sweep_temporary(run.path)
    if failed:
        label = {e.name: f"{e.label} {e.fusion} seed {e.seed}" for e in experiments}
        causes = "\n".join(
            f"  {label[name]}: {type(error).__name__}: {error}" for name, error in failed.items()
        )
        raise RunsFailed(
            f"{len(failed)} of {len(experiments)} experiments failed; the others are kept in "
            f"{folder}.\n{causes}",
            failed,
        )
    return list(runs.values())


def _free_again(busy: list[Experiment], runs: Mapping[str, Run]) -> list[Experiment]:
    """The runs that others were training, after at least one of them has ended or was given up."""
    while busy:
        time.sleep(BUSY_WAIT)
        if not all(runs[e.name].busy for e in busy):
            break
    return busy


def _prepare(experiments: Sequence[Experiment]) -> None:
    """Load each data set once before the processes start, so that they only read its cache."""
    seen = set()
    for e in experiments:
        key = (e.dataset, str(sorted(e.data_options.items())))
        if key not in seen:
            seen.add(key)
            load_data(e.replace(label_noise=0.0))


def _run_one(experiment: Experiment, *, folder: Path, progress: bool) -> None:
    """Run an experiment and write its time (seconds) to `timing.json` in the run's directory."""
    if Run(folder / experiment.name).finished:  # by another process meanwhile
        return
    start = time.perf_counter()
    run = run_experiment(experiment, folder, progress=progress)
    record = {"seconds": round(time.perf_counter() - start, 2)}
    write_text(run.path / "timing.json", json.dumps(record) + "\n")
