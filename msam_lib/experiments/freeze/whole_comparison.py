"""A comparison from its plan to its frozen results."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msam_lib.errors import MsamError
from msam_lib.experiments.choices import FOLDER
from msam_lib.experiments.comparison import PlannedRow
from msam_lib.experiments.freeze.comparison import freeze_comparison, summarise
from msam_lib.experiments.freeze.search import freeze_search
from msam_lib.experiments.runner import run_all
from msam_lib.training import default_store


def measure_comparison(
    plan: Sequence[PlannedRow],
    name: str,
    *,
    store: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] = "figures/data",
    choices: str | os.PathLike[str] = FOLDER,
    jobs: int | None = None,
    on: str = "local",
    cluster: Mapping[str, Any] | None = None,
    train: bool = True,
    add: bool = True,
) -> Iterator[Path | MsamError]:
    """Train (or resume) every run of a plan and freeze the finished ones; yields each file written,
    and the error of the runs that failed: the others are frozen all the same.

    Args:
        plan: the rows.
        name: of the frozen results. After `methods_...`, the summary of all comparisons and the
            searches behind them are written as well.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        folder: of the frozen results.
        choices: where the search keeps what it chose.
        jobs: processes; one per core, at most 4, by default.
        on, cluster: where the runs are trained; see `run_all`.
        train: False freezes what is there.
        add: keep the methods and fusions that were frozen under this name before.
    """
    where = default_store() if store is None else Path(store)
    if train:
        try:
            run_all(
                [e for row in plan for e in row.experiments],
                where,
                jobs=jobs,
                on=on,
                cluster=cluster,
            )
        except MsamError as error:
            yield error
    yield freeze_comparison(plan, name, where, folder, add=add)
    if name.startswith("methods_"):
        if "@" not in name:  # the summary reads every frozen comparison of a whole data set
            yield summarise(folder)
        yield freeze_search(folder, choices)
