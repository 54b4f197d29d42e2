"""How a trial of a search is judged: by its headline metric on the validation split."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from msam_lib.results.headline import HEADLINES, Headline, headline_of
from msam_lib.training import Run


def scores(run: Run) -> tuple[float, float]:
    """The best fused validation accuracy over epochs (for another task its headline metric, errors
    with a minus sign), and the same on the test split at that epoch; minus infinity for a run that
    has not finished.
    """
    nothing = -math.inf, -math.inf
    if not run.finished:
        return nothing
    rows = _fused(run)
    headline = headline_of(rows)
    rows = rows[rows["metric"] == headline.metric]
    val = rows[rows["split"] == "val"]
    best = headline.best(val["value"])
    if not math.isfinite(best):
        return nothing
    epoch = val[val["value"] == best]["epoch"].min()
    test = rows[(rows["split"] == "test") & (rows["epoch"] == epoch)]["value"]
    return headline.sign * best, headline.sign * float(test.iloc[0])


def headline_of_runs(runs: Iterable[Run]) -> Headline:
    """The headline metric of runs of one task; accuracy where none of them has finished."""
    found = (headline_of(_fused(run)) for run in runs if run.finished)
    return next(found, HEADLINES["accuracy"])


def stored(score: float, headline: Headline) -> float | None:
    """A score as it is stored: the metric itself; of a trial that has not finished 0, or None for
    an error.
    """
    if math.isfinite(score):
        return round(headline.sign * score, 4)
    return 0.0 if headline.higher_is_better else None


def judged_by(choice: Mapping[str, Any]) -> str:
    """The metric that a stored choice was made by.

    >>> judged_by({"trials": [{"lr": 0.1, "val_mae": 0.5}]})
    'mae'
    """
    return next(k.removeprefix("val_") for k in choice["trials"][0] if k.startswith("val_"))


def _fused(run: Run) -> pd.DataFrame:
    rows = run.metrics()
    return rows[rows["modality"] == "fused"]
