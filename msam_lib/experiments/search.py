"""A small search with the same number of trials for every method, by validation accuracy.

A trial is a learning rate and a value of the method's main option (see `msam_lib.catalogue`). The
choice is stored in `tuned/<dataset>-<fusion>.json`, which `comparison.experiment` reads. The seeds
of the trials are not those of the tables, and the test split is not used.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msam_lib._utils.source import source_commit
from msam_lib.catalogue import METHODS
from msam_lib.errors import MsamError, unknown_name
from msam_lib.experiments.experiment import Experiment
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
    **changes: Any,
) -> dict[str, dict[str, Any]]:
    """Run every trial of every case and store the best by validation accuracy.

    The choices of cases that are not among `cases` stay in the file. Runs are kept in the store, so
    that an interrupted search resumes.

    Args:
        dataset, fusion: what the cases are tuned for.
        cases: the methods with the options that are not searched.
        preset: size of the runs.
        budget: trials per case: 3, 6 or 9.
        seeds: of the trials.
        store: folder of runs; `runs/tune` by default.
        folder: where the choices are kept.
        jobs: processes.
        **changes: fields of `Experiment` for all trials, e.g. a smaller part of the data.

    Returns:
        {label of the case: {"lr", "method_options", "val_accuracy", "trials"}} of these cases.
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
    try:
        run_all(runs, store, jobs=jobs)
    except MsamError as error:  # a trial that diverges is a bad trial, not the end of the search
        print(error)
    # Of each case the trial with the best validation accuracy, averaged over seeds; of equal ones
    # the first.
    done = {e.name: Run(Path(store) / e.name) for e in runs}
    chosen = {}
    for label, plan in plans.items():
        scores = [
            sum(_score(done[e.replace(seed=s).name]) for s in seeds) / len(seeds) for e in plan
        ]
        best = max(range(len(plan)), key=lambda k: (scores[k], -k))
        chosen[label] = {
            "lr": plan[best].lr,
            "method_options": plan[best].method_options,
            "val_accuracy": round(scores[best], 4),
            "trials": [
                {"lr": e.lr, "method_options": e.method_options, "val_accuracy": round(v, 4)}
                for e, v in zip(plan, scores, strict=True)
            ],
        }
    settings = {"preset": preset, "budget": budget, "seeds": list(seeds), "changes": changes}
    _store(Path(folder) / f"{dataset}-{fusion}.json", chosen, settings)
    return chosen


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


def _score(run: Run) -> float:
    """The best fused validation accuracy over epochs; 0 for a run that has not finished."""
    if not run.finished:
        return 0.0
    rows = run.metrics()
    rows = rows[(rows["split"] == "val") & (rows["modality"] == "fused")]
    value = rows[rows["metric"] == "accuracy"]["value"].max()
    return float(value) if math.isfinite(value) else 0.0


def _store(path: Path, chosen: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Add the choices, with the settings of the search, to the file; others in it are kept."""
    record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    # Each choice records how it was found.
    same = dict(settings) | {"commit": source_commit()}
    for label, choice in chosen.items():
        record[label] = choice | same
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(sorted(record.items())), indent=1, default=list)
    path.write_text(text + "\n")


def tuned(dataset: str, fusion: str, folder: str | os.PathLike[str] = FOLDER) -> dict[str, Any]:
    """{label of the case: choice} that `tune` stored for this data set and fusion, or for late
    fusion where this fusion was not tuned; empty where nothing was.
    """
    for name in (f"{dataset}-{fusion}.json", f"{dataset}-late.json"):
        path = Path(folder) / name
        if path.exists():
            return json.loads(path.read_text())
    return {}
