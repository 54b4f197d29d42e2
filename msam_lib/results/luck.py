"""The luck of the search: how far a result would move if the search had drawn other seeds.

A method's learning rate and option are chosen by a few runs; with other seeds another trial may
have won. The search's own seeds are drawn again (bootstrap: all S^S draws of S seeds), each draw
chooses by its validation accuracy, and the test accuracy of that trial is compared with that of the
trial chosen in truth, both as means over the search's seeds.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from msam_lib.errors import MsamError
from msam_lib.labels import Comparison
from msam_lib.results.headline import HEADLINES
from msam_lib.results.remembered import remembered

NORMAL = 1.959964  # 97.5 % quantile: half-width of a 95 % interval in standard deviations


def redrawn(search: pd.DataFrame, where: Comparison, label: str) -> np.ndarray:
    """Changes in test accuracy over all draws of the search's seeds, shape (S^S,), in the units of
    the frame; zero for a draw that chooses the same trial. Draws of different methods correspond.

    Args:
        search: frozen trials (`experiments.freeze.search`).
        where: data set and fusion.
        label: of the method.

    Raises:
        MsamError: no trial of this method was tried with two or more seeds there.
    """
    rows = search[
        (search["dataset"] == where.dataset)
        & (search["fusion"] == where.fusion)
        & (search["label"] == label)
    ]
    val, test = (
        rows[rows["split"] == s].pivot_table(
            index="run", columns="seed", values="value", sort=False
        )
        for s in ("val", "test")
    )
    if val.shape[1] < 2 or test.empty:
        raise MsamError(
            f"No trials of {label} on {where.name} with two or more seeds: `python -m msam_lib "
            f"tune --dataset {where.dataset} --fusion {where.fusion}` makes them."
        )
    # Only trials with all seeds can be chosen; means that differ by rounding alone are equal.
    val = val.dropna()
    sign = HEADLINES[rows["metric"].iloc[0]].sign
    scores, tests = sign * val.to_numpy(), test.loc[val.index].to_numpy().mean(1)
    chosen = val.index.get_loc(rows.loc[rows["chosen"] == 1, "run"].iloc[0])
    draws = np.array(list(product(range(scores.shape[1]), repeat=scores.shape[1])))
    means = scores[:, draws].mean(2).round(4)
    # Where the trial that was chosen is as good as any, it stays.
    others = np.where(means[chosen] == means.max(0), chosen, means.argmax(0))
    return tests[others] - tests[chosen]


@remembered(1)
def every_redrawn(search: pd.DataFrame) -> dict[tuple[Comparison, str], np.ndarray]:
    """{(data set and fusion, label): changes in points over all draws, see `redrawn`} of every
    method that was searched with two or more seeds: by the protocol, older searches have one.
    """
    found = {}
    for (dataset, fusion, label), rows in search.groupby(["dataset", "fusion", "label"]):
        if rows.loc[rows["split"] == "val", "seed"].nunique() > 1:
            where = Comparison(dataset, fusion)
            found[where, label] = 100 * redrawn(rows, where, label)
    return found


def with_luck(half: float, *offsets: np.ndarray) -> float:
    """A half-width that includes the search's luck: sqrt(half^2 + (1.96 s)^2).

    s^2 is the mean square, over draws, of the difference of the offsets (of one method, or of two
    that are compared), so it counts what choosing again moves in either direction.

    Args:
        half: half-width of the 95 % interval over the seeds of the final runs.
        offsets: of `redrawn`, one or two arrays, in the same units.
    """
    difference = offsets[0] - offsets[1] if len(offsets) > 1 else offsets[0]
    return float(np.hypot(half, NORMAL * np.sqrt((difference**2).mean())))
