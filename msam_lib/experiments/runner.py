"""Running many experiments, several at a time; all others finish where one fails."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msam_lib._utils.processes import finished, process_count
from msam_lib._utils.progress import progress_bar
from msam_lib.errors import MsamError
from msam_lib.experiments.build import load_data, run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.training import Run, default_store


def run_all(
    experiments: Iterable[Experiment],
    store: str | os.PathLike[str] | None = None,
    *,
    jobs: int | None = None,
    progress: bool = True,
    on_done: Callable[[Run], None] | None = None,
) -> list[Run]:
    """The runs of experiments, trained (or resumed) several at a time unless they are finished.

    Args:
        experiments: in the order of the result.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        jobs: processes, one thread each; one per core, at most 4, by default. 1 trains in this
            process and shows a bar for every run.
        progress: show a progress bar in a terminal or notebook.
        on_done: called with every run as it finishes.

    Raises:
        MsamError: some failed; raised after all others have finished, with their names and errors.
    """
    experiments = list(experiments)
    folder = default_store() if store is None else Path(store)
    jobs = process_count(jobs)
    if jobs < 1:
        raise MsamError(f"jobs={jobs}; at least 1 is needed.")
    # Errors are collected, so that one failure does not end the others.
    failed: dict[str, Exception] = {}
    runs = {e.name: Run(folder / e.name) for e in experiments}
    missing = [e for e in experiments if not runs[e.name].finished]
    # In one process each run shows its bar; in several, one bar counts the runs.
    alone = jobs == 1 or len(missing) < 2
    if not alone:
        _prepare(missing)
    task = functools.partial(_run_one, folder=folder, progress=progress and alone)
    show = progress and not alone
    with progress_bar(total=len(missing), show=show, desc="runs", unit="run") as bar:
        for experiment, error in finished(task, missing, jobs=1 if alone else jobs):
            if error is not None:
                failed[f"{experiment.label} {experiment.fusion} seed {experiment.seed}"] = error
            elif on_done is not None:
                on_done(runs[experiment.name])
            bar.set_postfix_str(f"{experiment.label}, {experiment.fusion}", refresh=False)
            bar.update()
    if failed:
        causes = "\n".join(f"  {name}: {type(e).__name__}: {e}" for name, e in failed.items())
        raise MsamError(
            f"{len(failed)} of {len(experiments)} experiments failed; the others are kept in "
            f"{folder}.\n{causes}"
        )
    return list(runs.values())


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
    start = time.perf_counter()
    run = run_experiment(experiment, folder, progress=progress)
    record = {"seconds": round(time.perf_counter() - start, 2)}
    (run.path / "timing.json").write_text(json.dumps(record) + "\n")
