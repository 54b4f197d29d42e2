"""The experiments behind the figures, and how to run many of them: resumable, side by side, none
lost.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from msam_lib.config import Experiment
from msam_lib.errors import MsamError
from msam_lib.progress import progress_bar

if TYPE_CHECKING:
    from msam_lib.training.runs import Run

SEEDS = (0, 1, 2)
READINGS: tuple[dict[str, str], ...] = (
    {},
    {"reading": "encoder"},
    {"reading": "unimodal_loss"},
    {"ascent": "momentum"},
)
PERTURBATION_RHO = 0.2  # of the strong-versus-weak figure: large enough for an effect to show


def table_experiments(
    fusion: str, preset: str = "teach", seeds: Sequence[int] = SEEDS, dataset: str = "digits"
) -> list[Experiment]:
    """One experiment per row of the results table and seed; radii come from the preset."""
    methods: list[tuple[str, dict]] = [("joint", {})]
    methods += [("unimodal", {})] if fusion in ("late", "concat") else []
    methods += [("sam", {}), ("asam", {}), *(("msam", dict(r)) for r in READINGS)]
    found = [
        Experiment.preset(
            preset, dataset=dataset, fusion=fusion, method=m, method_options=o, seed=s
        )
        for m, o in methods
        for s in seeds
    ]
    return [_traced(e) for e in found]


def _traced(experiment: Experiment) -> Experiment:
    """With Hessian traces where a figure shows them: the embedded data, late fusion, joint, SAM and
    M-SAM as printed and confined to an encoder.
    """
    shown = experiment.method_options.keys() <= {"rho", "reading"}
    shown &= experiment.method_options.get("reading", "literal") in ("literal", "encoder")
    shown &= experiment.method in ("joint", "sam", "msam")
    if not shown or (experiment.dataset, experiment.fusion) != ("digits", "late"):
        return experiment
    return experiment.replace(traces=max(1, experiment.epochs // 4))


def perturbation_experiments(
    preset: str = "teach", seeds: Sequence[int] = SEEDS, dataset: str = "digits"
) -> list[Experiment]:
    """Strong versus weak: perturb no weights, all, only the dominant encoder's, only the
    weakest's.
    """
    rho = PERTURBATION_RHO
    alone = {"reading": "encoder", "mixing": 1.0, "rho": rho}
    cases: list[tuple[str, dict]] = [("joint", {}), ("sam", {"rho": rho})]
    cases += [("msam", alone | {"target": t}) for t in ("dominant", "weakest")]
    found = [
        Experiment.preset(
            preset, dataset=dataset, fusion="late", method=m, method_options=o, seed=s
        )
        for m, o in cases
        for s in seeds
    ]
    return [_traced(e) for e in found]


def suite(
    preset: str = "teach", seeds: Sequence[int] = SEEDS, dataset: str = "digits"
) -> list[Experiment]:
    """Everything that the figures and tables of one data set are drawn from, each run once."""
    found = [
        *table_experiments("late", preset, seeds, dataset),
        *table_experiments("maxout", preset, seeds, dataset),
        *perturbation_experiments(preset, seeds, dataset),
    ]
    return list({e.name: e for e in found}.values())


def run_all(
    experiments: Iterable[Experiment],
    store: str | os.PathLike[str] | None = None,
    *,
    jobs: int | None = None,
    progress: bool = True,
    on_done: Callable[[Run], None] | None = None,
) -> list[Run]:
    """Run experiments, several at a time; what is finished already is not run again.

    Args:
        experiments: in the order of the result.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        jobs: processes, one thread each; one per core, at most 4, by default. 1 stays in this
            process and shows a bar for every run.
        progress: show a bar where somebody watches.
        on_done: called with every run as it finishes.

    Raises:
        MsamError: where some failed, after all the others have finished; it names them.
    """
    from msam_lib.training.runs import Run, default_store

    experiments = list(experiments)
    folder = default_store() if store is None else Path(store)
    jobs = min(4, os.cpu_count() or 1) if jobs is None else jobs
    if jobs < 1:
        raise MsamError(f"jobs={jobs}; at least 1 is needed.")
    failed: dict[str, Exception] = {}
    runs = {e.name: Run(folder / e.name) for e in experiments}
    missing = [e for e in experiments if not runs[e.name].finished]

    def done(experiment: Experiment, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            failed[f"{experiment.label} {experiment.fusion} seed {experiment.seed}"] = error
        elif on_done is not None:
            on_done(runs[experiment.name])

    if jobs == 1 or len(missing) < 2:
        for experiment in missing:
            try:
                _run_one(experiment, folder, progress)
                done(experiment, None)
            except Exception as error:  # the others must not be lost
                done(experiment, error)
    else:
        _run_in_processes(missing, folder, jobs, progress, done)
    if failed:
        causes = "\n".join(f"  {name}: {type(e).__name__}: {e}" for name, e in failed.items())
        raise MsamError(
            f"{len(failed)} of {len(experiments)} experiments failed; the others are kept in "
            f"{folder}.\n{causes}"
        )
    return list(runs.values())


def _run_in_processes(
    experiments: Sequence[Experiment],
    folder: Path,
    jobs: int,
    progress: bool,
    done: Callable[[Experiment, BaseException | None], None],
) -> None:
    _prepare(experiments)
    waiting: dict[Future, Experiment] = {}
    # spawn: a forked torch with running threads may hang
    with (
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool,
        progress_bar(total=len(experiments), show=progress, desc="runs", unit="run") as bar,
    ):
        try:
            for e in experiments:
                waiting[pool.submit(_run_one, e, folder)] = e
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    experiment = waiting.pop(future)
                    done(experiment, future.exception())
                    bar.set_postfix_str(f"{experiment.label}, {experiment.fusion}", refresh=False)
                    bar.update()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _prepare(experiments: Sequence[Experiment]) -> None:
    """Load each data set once before the processes start, so that they find its cache."""
    seen = set()
    for e in experiments:
        key = (e.dataset, str(sorted(e.data_options.items())))
        if key not in seen:
            seen.add(key)
            e.replace(label_noise=0.0).load_data()


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _run_one(experiment: Experiment, folder: Path, progress: bool = False) -> None:
    """Run it, and keep how long that took beside the results."""
    start = time.perf_counter()
    run = experiment.run(folder, progress=progress)
    record = {"seconds": round(time.perf_counter() - start, 2)}
    (run.path / "timing.json").write_text(json.dumps(record) + "\n")
