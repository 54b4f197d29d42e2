"""The whole protocol on one data set: search, final runs, frozen results (page `protocol`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msam_lib.errors import MsamError, RunsFailed
from msam_lib.experiments.choices import FOLDER
from msam_lib.experiments.comparison import SEEDS, fusion_cases, methods_plan
from msam_lib.experiments.freeze.whole_comparison import measure_comparison
from msam_lib.experiments.search import tune
from msam_lib.labels import Case, parse_setting
from msam_lib.results.frozen import path_of
from msam_lib.training import default_store


def measure_evidence(
    dataset: str,
    fusions: Sequence[str] = ("late", "maxout"),
    wanted: Sequence[Case] | None = None,
    *,
    preset: str = "teach",
    seeds: Sequence[int] = SEEDS,
    budget: int = 9,
    store: str | os.PathLike[str] | None = None,
    choices: str | os.PathLike[str] = FOLDER,
    folder: str | os.PathLike[str] = "figures/data",
    **where: Any,
) -> Iterator[Path | MsamError]:
    """Search for every method under each fusion, train the final runs, freeze both; yields each
    file as it is written, and the errors of what failed. Given again, it resumes.

    Args:
        dataset: its name, or `DATASET@OPTION=VALUE,...` for one with options.
        fusions: one after the other.
        wanted: rows of the comparison; None for all that apply.
        preset: size of the runs.
        seeds: of the final runs; none of the search's (`search.SEEDS`).
        budget: trials of the search's coarse grid.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default; the search's are in `tune` there.
        choices: where the search keeps what it chose.
        folder: of the frozen results.
        **where: `jobs`, `on` and `cluster`, see `run_all`; `add`, see `measure_comparison`.
    """
    parse_setting(dataset)  # both raise before anything is trained
    path_of(f"methods_{dataset}", folder)
    runs = default_store() if store is None else Path(store)
    rows = fusion_cases(dataset, fusions, wanted, preset=preset)
    add = where.pop("add", True)
    for fusion in fusions:
        try:
            tune(
                dataset,
                fusion,
                rows[fusion],
                preset=preset,
                budget=budget,
                store=runs / "tune",
                folder=choices,
                **where,
            )
        except RunsFailed as error:  # the other methods are compared all the same
            yield error
        yield Path(choices) / f"{dataset}-{fusion}.json"
    plan = methods_plan(dataset, fusions, wanted, preset=preset, seeds=seeds, folder=choices)
    yield from measure_comparison(
        plan, f"methods_{dataset}", store=runs, folder=folder, choices=choices, add=add, **where
    )
