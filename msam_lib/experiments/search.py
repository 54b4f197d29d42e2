"""A small search with the same number of trials for every method, by validation accuracy.

A trial is a learning rate and a value of the method's main option (see `msam_lib.catalogue`). The
choice is stored in `tuned/<dataset>-<fusion>.json`, which `comparison.experiment` reads. The seeds
of the trials are not those of the tables, and the test split is not used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msam_lib._utils.files import locked, write_text
from msam_lib.catalogue import METHODS
from msam_lib.errors import MsamError, NonFiniteLoss, RunsFailed, unknown_name
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.judging import headline_of_runs, stored
from msam_lib.experiments.judging import score as _score
from msam_lib.experiments.runner import run_all
from msam_lib.labels import Case
from msam_lib.methods import build_method
from msam_lib.models.fusions.registry import FUSIONS
from msam_lib.training import Run, default_store

FOLDER = Path(__file__).parent / "tuned"
BUDGET, SEED = 9, 100


def trials(case: Case, lr: float, budget: int = BUDGET) -> list[tuple[float, dict[str, Any]]]:
    """(learning rate, method options) of every trial; equally many for each method.

    Every method is tried at the same three learning rates (2 lr, lr, lr / 3), with one, two or
    three values of its main option; a method without one gets further learning rates between and
    below them.

    Args:
        case: the method and its fixed options.
        lr: the preset's learning rate.
        budget: number of trials: 3, 6 or 9.

    Raises:
        MsamError: the budget is not 3, 6 or 9.
    """
    method, options = case
    if budget not in (3, 6, 9):
        raise MsamError(f"budget={budget}; give 3, 6 or 9, the trials per method.")
    rates = (2 * lr, lr, lr / 3)
    row = METHODS[method]
    # Nothing else to search: the whole budget goes into learning rates.
    if not row.option or row.option in options:
        further = (1.2 * lr, 0.6 * lr, 0.2 * lr, 1.6 * lr, 0.8 * lr, 0.45 * lr)
        return [(rate, dict(options)) for rate in (*rates, *further)[:budget]]
    several = [(rate, v) for rate in rates for v in _spread(row.values, budget // 3)]
    return [(rate, options | {row.option: v}) for rate, v in several]


def _spread(values: Sequence[Any], count: int) -> list[Any]:
    """The first `count` of middle, last and first of three values, in the values' order."""
    return [values[k] for k in sorted((1, 2, 0)[:count])]


def tune(
    dataset: str,
    fusion: str,
    cases: Iterable[Case],
    *,
    preset: str = "teach",
    budget: int = BUDGET,
    seeds: Sequence[int] = (SEED,),
    store: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] = FOLDER,
    jobs: int | None = None,
    on: str = "local",
    cluster: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, dict[str, Any]]:
    """Run every trial of every case and store the best by validation accuracy.

    What is stored depends on the finished runs alone. The choices of cases that are not among
    `cases` stay in the file, also where several searches write to it at the same time. Runs are
    kept in the store, so that an interrupted search resumes.

    Args:
        dataset, fusion: what the cases are tuned for.
        cases: the methods with the options that are not searched.
        preset: size of the runs.
        budget: trials per case: 3, 6 or 9.
        seeds: of the trials.
        store: folder of runs; `runs/tune` by default.
        folder: where the choices are kept.
        jobs: processes.
        on, cluster: where they run; see `run_all`.
        **changes: fields of `Experiment` for all trials, e.g. a smaller part of the data.

    Returns:
        {label of the case: {"lr", "method_options", "val_accuracy", "trials"}} of these cases.
        For another task its headline metric's name stands in place of `accuracy`; a trial without a
        result has 0, or None where the metric is an error.

    Raises:
        RunsFailed: a trial was not completed for another reason than a diverging loss, which makes
            it a bad trial; the cases without such a trial are stored before.
    """
    store = default_store() / "tune" if store is None else Path(store)
    # The trials are spread around the preset's learning rate.
    lr = Experiment.preset(preset, dataset=dataset, fusion=fusion).lr
    # All trials are planned first, so that the processes share one pool of runs.
    plans = {
        c.label: [
            _trial(preset, dataset, fusion, Case(c.method, options), rate, changes)
            for rate, options in trials(c, lr, budget)
        ]
        for c in cases
    }
    runs = [e.replace(seed=s) for plan in plans.values() for e in plan for s in seeds]
    lost: set[str] = set()
    failure: RunsFailed | None = None
    try:
        run_all(runs, store, jobs=jobs, on=on, cluster=cluster)
    except RunsFailed as error:  # a trial that diverges is a bad trial, not the end of the search
        print(error)
        lost = {n for n, e in error.failures.items() if not isinstance(e, NonFiniteLoss)}
        failure = error
    done = {e.name: Run(Path(store) / e.name) for e in runs}
    chosen = {
        label: _choice(plan, seeds, done)
        for label, plan in plans.items()
        if lost.isdisjoint(e.replace(seed=s).name for e in plan for s in seeds)
    }
    settings = {"preset": preset, "budget": budget, "seeds": list(seeds), "changes": changes}
    _store(Path(folder) / f"{dataset}-{fusion}.json", chosen, settings)
    if failure is not None and lost:
        raise failure
    return chosen


def _choice(
    plan: Sequence[Experiment], seeds: Sequence[int], done: Mapping[str, Run]
) -> dict[str, Any]:
    """Of one case the trial with the best validation accuracy, averaged over seeds, and of equal
    ones the first; with all its trials and the commits that they were trained with.
    """
    runs = [[done[e.replace(seed=s).name] for s in seeds] for e in plan]
    scores = [sum(map(_score, of_seeds)) / len(seeds) for of_seeds in runs]
    best = max(range(len(plan)), key=lambda k: (scores[k], -k))
    headline = headline_of_runs(r for several in runs for r in several)
    commits = {r.environment.get("commit", "unknown") for several in runs for r in several}
    return {
        "lr": plan[best].lr,
        "method_options": plan[best].method_options,
        f"val_{headline.metric}": stored(scores[best], headline),
        "trials": [
            {"lr": e.lr, "method_options": e.method_options}
            | {f"val_{headline.metric}": stored(v, headline)}
            for e, v in zip(plan, scores, strict=True)
        ],
        "commit": ", ".join(sorted(commits)),
    }


def _trial(
    preset: str, dataset: str, fusion: str, case: Case, lr: float, changes: Mapping[str, Any]
) -> Experiment:
    """The experiment of one trial; the case's options replace those of the preset."""
    return Experiment.preset(
        preset,
        dataset=dataset,
        fusion=fusion,
        method=case.method,
        **({"unimodal_heads": True} if needs_heads(case, fusion) else {}),
        **changes,
    ).replace(lr=lr, method_options=case.options)


def needs_heads(case: Case, fusion: str) -> bool:
    """Whether the model needs unimodal heads beside this fusion for this method."""
    wanted = build_method(case.method, **case.options).needs()
    if fusion not in FUSIONS:
        raise unknown_name("fusion", fusion, FUSIONS)
    return "unimodal_logits" in wanted and not FUSIONS[fusion].additive


def _store(path: Path, chosen: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Add the choices, with the settings of the search, to the file; others in it are kept."""
    # Several searches may end at the same time: each adds to what the others have written.
    with locked(path.parent, "The folder of choices", wait=60):
        record = _choices(path) if path.exists() else {}
        record |= {label: choice | dict(settings) for label, choice in chosen.items()}
        text = json.dumps(dict(sorted(record.items())), indent=1, default=list)
        write_text(path, text + "\n")


def _choices(path: Path) -> dict[str, Any]:
    """The content of a file of choices.

    Raises:
        MsamError: it is damaged.
    """
    try:
        record = json.loads(path.read_bytes())
        if isinstance(record, dict) and all(isinstance(c, dict) for c in record.values()):
            return record
        error: object = "not a dictionary of choices"
    except (OSError, ValueError) as caught:
        error = caught
    raise MsamError(
        f"{path} is damaged ({error}). Rename it and give the same `python -m msam_lib tune` again:"
        " it is written from the finished runs, which are kept."
    )


def tuned(dataset: str, fusion: str, folder: str | os.PathLike[str] = FOLDER) -> dict[str, Any]:
    """{label of the case: choice} that `tune` stored for this data set and fusion, or for late
    fusion where this fusion was not tuned; empty where nothing was.
    """
    for name in (f"{dataset}-{fusion}.json", f"{dataset}-late.json"):
        path = Path(folder) / name
        if path.exists():
            return _choices(path)
    return {}
