"""The search: the same rule and the same number of trials for every method, by validation accuracy.

Three rounds (`experiments.trials`): a coarse grid, at most twice a step beyond the edges at which
the best trial lies, and a finer grid around it. Within a round, trials race: all of them are
trained with the first seed, the better 5/9 with the second, the better third with the third
(successive halving: Jamieson and Talwalkar, AISTATS 2016). Of the trials that were trained with all
seeds, the one with the best mean is chosen.

The choice is stored in `tuned/<dataset>-<fusion>.json`, which `comparison.experiment` reads. The
seeds of the trials are not those of the tables, and no choice looks at the test split.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msam_lib.errors import MsamError, NonFiniteLoss, RunsFailed
from msam_lib.experiments import trials
from msam_lib.experiments.cases import case_experiment, setting_experiment
from msam_lib.experiments.choices import FOLDER, store_choices
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.judging import headline_of_runs, scores, stored
from msam_lib.experiments.measurements import seconds_of
from msam_lib.experiments.runner import run_all
from msam_lib.experiments.trials import Trial
from msam_lib.labels import Case
from msam_lib.training import Run, default_store

SEEDS = (100, 101, 102)
SHARES = (1.0, 5 / 9, 1 / 3)  # of a round's trials that are trained with each seed
ROUNDS = ("coarse", "beyond", "beyond", "finer")


@dataclass
class Tried:
    """A trial in a search.

    Args:
        trial: the learning rate and the options.
        experiment: with any seed.
        round: in which it was tried.
        scores: its validation score with each seed so far.
        tests: its test score with each, by which nothing is chosen.
    """

    trial: Trial
    experiment: Experiment
    round: str
    scores: list[float] = field(default_factory=list)
    tests: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """The mean of its scores."""
        return sum(self.scores) / len(self.scores)


def tune(
    dataset: str,
    fusion: str,
    cases: Iterable[Case],
    *,
    preset: str = "teach",
    budget: int = trials.COARSE,
    refine: bool = True,
    seeds: Sequence[int] = SEEDS,
    store: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] = FOLDER,
    jobs: int | None = None,
    on: str = "local",
    cluster: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, dict[str, Any]]:
    """Search for every case and store its best trial by validation accuracy.

    What is stored depends on the finished runs alone. The choices of cases that are not among
    `cases` stay in the file, also where several searches write to it at the same time. Runs are
    kept in the store, so that an interrupted search resumes.

    Args:
        dataset, fusion: what the cases are tuned for; a data set or one with options.
        cases: the methods with the options that are not searched.
        preset: size of the runs.
        budget: trials of the coarse grid per case: 3, 6 or 9.
        refine: go on beyond the grid's edges, and to the finer grid.
        seeds: of the trials; at most 3.
        store: folder of runs; `runs/tune` by default.
        folder: where the choices are kept.
        jobs: processes.
        on, cluster: where they run; see `run_all`.
        **changes: fields of `Experiment` for all trials, e.g. a smaller part of the data.

    Returns:
        {label of the case: {"lr", "method_options", "val_accuracy", "edges", "trials"}} of these
        cases; `edges` names what still lies at the end of all that was tried. For another task its
        headline metric's name stands in place of `accuracy`; a trial without a result has 0, or
        None where the metric is an error.

    Raises:
        RunsFailed: a trial was not completed for another reason than a diverging loss, which makes
            it a bad trial; the cases without such a trial are stored before.
        MsamError: no seeds, or more than 3.
    """
    if not 1 <= len(seeds) <= len(SHARES):
        raise MsamError(f"seeds={list(seeds)}; give one to {len(SHARES)} seeds for the trials.")
    store = default_store() / "tune" if store is None else Path(store)
    # Trials are spread around the preset's learning rate.
    lr = setting_experiment(dataset, fusion, preset=preset).lr
    named = {c.label: c for c in cases}
    like = {
        label: case_experiment(c, dataset, fusion, preset=preset, **changes)
        for label, c in named.items()
    }
    found: dict[str, list[Tried]] = {label: [] for label in named}
    failures: dict[str, Exception] = {}
    for round_ in ROUNDS if refine else ROUNDS[:1]:
        new: dict[str, list[Tried]] = {}
        for label, case in named.items():
            if label not in failures:
                new[label] = [
                    Tried(t, like[label].replace(lr=t.lr, method_options=t.options), round_)
                    for t in _planned(round_, case, lr, budget, found[label], len(seeds))
                ]
        # All cases at once, so that the processes share one pool of runs.
        for share, seed in zip(SHARES, seeds, strict=False):
            racing = {label: _first(plan, share) for label, plan in new.items()}
            failures |= _race(racing, seed, store, jobs=jobs, on=on, cluster=cluster)
        for label, plan in new.items():
            found[label] += plan
    chosen = {
        label: _choice(named[label], plan, seeds, store)
        for label, plan in found.items()
        if label not in failures
    }
    settings = {"preset": preset, "budget": budget, "seeds": list(seeds), "changes": changes}
    store_choices(Path(folder) / f"{dataset}-{fusion}.json", chosen, settings)
    if failures:
        raise RunsFailed(
            f"{len(failures)} of {len(named)} searches could not be completed; the others are "
            "stored. " + "; ".join(f"{label}: {error}" for label, error in failures.items()),
            failures,
        )
    return chosen


def _planned(
    round_: str, case: Case, lr: float, budget: int, found: Sequence[Tried], seeds: int
) -> list[Trial]:
    """The trials of one round of one case."""
    if round_ == "coarse":
        return trials.coarse(case, lr, budget)
    tried, best = [t.trial for t in found], _best(found, seeds).trial
    return (trials.beyond if round_ == "beyond" else trials.finer)(case, tried, best)


def _first(plan: Sequence[Tried], share: float) -> list[Tried]:
    """The better share of a round's trials, at least one, among those with most seeds so far; of
    equal ones the first.
    """
    count = math.ceil(len(plan) * share - 1e-9)
    return sorted(plan, key=lambda t: (-len(t.scores), -t.mean if t.scores else 0))[:count]


def _race(
    racing: Mapping[str, Sequence[Tried]], seed: int, store: Path, **where: Any
) -> dict[str, Exception]:
    """Train all these trials with one seed and add their scores; returns the failures by case."""
    try:
        run_all(
            [t.experiment.replace(seed=seed) for r in racing.values() for t in r], store, **where
        )
        lost = {}
    except RunsFailed as error:  # a trial that diverges is a bad trial, not the end of the search
        print(error)
        lost = {n: e for n, e in error.failures.items() if not isinstance(e, NonFiniteLoss)}
    failures = {}
    for label, plan in racing.items():
        for tried in plan:
            name = tried.experiment.replace(seed=seed).name
            val, test = scores(Run(store / name))
            tried.scores.append(val)
            tried.tests.append(test)
            if name in lost:
                failures[label] = lost[name]
    return failures


def _best(found: Sequence[Tried], seeds: int) -> Tried:
    """Of the trials with all seeds the one with the best mean, and of equal ones the first."""
    whole = [t for t in found if len(t.scores) == seeds]
    return max(whole, key=lambda t: t.mean)


def _choice(
    case: Case, found: Sequence[Tried], seeds: Sequence[int], store: Path
) -> dict[str, Any]:
    """What is stored of one case: the best trial, with all its trials and the commits that they
    were trained with.
    """
    best = _best(found, len(seeds))
    runs = [
        Run(store / t.experiment.replace(seed=s).name)
        for t in found
        for s in seeds[: len(t.scores)]
    ]
    headline = headline_of_runs(runs)
    commits = {r.environment.get("commit", "unknown") for r in runs}
    return {
        "lr": best.experiment.lr,
        "method_options": best.experiment.method_options,
        f"val_{headline.metric}": stored(best.mean, headline),
        "edges": trials.edges(case, [t.trial for t in found], best.trial),
        "trials": [
            {
                "lr": t.experiment.lr,
                "method_options": t.experiment.method_options,
                "round": t.round,
                f"val_{headline.metric}": stored(t.mean, headline),
                "val": [stored(v, headline) for v in t.scores],
                # Not chosen by: it tells how much a choice made with other seeds would change.
                "test": [stored(v, headline) for v in t.tests],
            }
            for t in found
        ],
        "seconds": round(sum(seconds_of(r) or 0.0 for r in runs)),
        "commit": ", ".join(sorted(commits)),
    }
