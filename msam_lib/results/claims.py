"""Testing a claim: effects that it predicts to be positive, and the verdict over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from msam_lib.labels import Comparison, display_names
from msam_lib.results.comparison import FUSED, compared, measured
from msam_lib.results.luck import every_redrawn, with_luck
from msam_lib.results.remembered import remembered
from msam_lib.results.sharpness import correlations, gaps
from msam_lib.results.statistics import PairedTest, holm, paired

HOLDS, IN_PART, NOT, UNTESTED = (
    "holds",
    "holds in part",
    "does not hold",
    "cannot be tested here",
)
ENCODER = "msam:reading=encoder"
FUSIONS = ("late", "maxout", "concat")  # of the comparisons


class Effect(NamedTuple):
    """A number that a claim predicts to be positive, with its 95 % interval over seeds.

    Args:
        what: what was measured, and where.
        mean, low, high: in `unit`.
        n: number of seeds.
        p: two-sided p value of no effect.
        unit: such as "points".
    """

    what: str
    mean: float
    low: float
    high: float
    n: int
    p: float
    unit: str = "points"

    def __str__(self) -> str:
        digits = ".1f" if self.unit else ".3g"
        half = f" ± {self.high - self.mean:{digits}}" if np.isfinite(self.high) else ""
        return f"{self.what} {self.mean:+{digits}}{half} {self.unit}".strip() + f" (n = {self.n})"


def clear(effects: Sequence[Effect]) -> tuple[int, int]:
    """How many effects are clearly above 0 and clearly below: at 5 % by Holm's correction for their
    number, and with an interval that leaves out 0.
    """
    if not effects:
        return 0, 0
    small = holm([e.p for e in effects]) < 0.05
    small &= np.array([not e.low <= 0 <= e.high for e in effects])
    signs = np.sign([e.mean for e in effects])
    return int((small & (signs > 0)).sum()), int((small & (signs < 0)).sum())


def verdict(effects: Sequence[Effect]) -> str:
    """`HOLDS` where every interval lies above 0, `IN_PART` where an effect is clearly above 0 by
    Holm's correction for their number, `NOT` where none is, `UNTESTED` where nothing was measured.
    """
    if not effects:
        return UNTESTED
    if all(e.low > 0 for e in effects):
        return HOLDS
    return IN_PART if clear(effects)[0] else NOT


def better(
    frame: pd.DataFrame,
    a: str,
    b: str,
    *,
    what: str = FUSED,
    fusions: Sequence[str] = FUSIONS,
    search: pd.DataFrame | None = None,
) -> list[Effect]:
    """Test accuracy of method a minus b's, paired by seed, in every comparison that has both.

    Args:
        frame: the summary of all comparisons.
        a, b: labels.
        what: of the whole model, or of the weakest modality (see `results.comparison.compared`).
        fusions: whose comparisons.
        search: frozen trials of every search: the intervals then include the luck of both methods'
            searches, as far as they had several seeds.
    """
    names = display_names([a, b])
    luck = {} if search is None else every_redrawn(search)
    effects = []
    for where, table in _compared(frame, what).items():
        if where.fusion in fusions and {a, b} <= set(table.index):
            both = table.loc[[a, b]].dropna(axis=1)
            if both.shape[1] > 1:
                test = paired(both.loc[a], both.loc[b])
                said = f"{names[a]} - {names[b]}, {where.name}:"
                found = _of_test(said, test)
                if {(where, a), (where, b)} <= luck.keys():
                    half = with_luck(test.high - test.difference, luck[where, a], luck[where, b])
                    found = found._replace(low=found.mean - half, high=found.mean + half)
                effects.append(found)
    return effects


@remembered(4)  # both kinds, counted and older comparisons, for dozens of claims ask
def _compared(frame: pd.DataFrame, what: str) -> dict[Comparison, pd.DataFrame]:
    """The tables of all comparisons."""
    return compared(measured(frame), what)


def dominance_raised(frame: pd.DataFrame, a: str, b: str) -> list[Effect]:
    """Share of the dominant modality in the test accuracy (Shapley values, points) under a minus
    that under b, paired by seed; dominant is the one with the largest share under joint training.
    """
    names = display_names([a, b])
    rows = frame[(frame["metric"] == "contribution") & (frame["split"] == "test")]
    keys = ["dataset", "fusion"]
    effects = []
    for (dataset, fusion), part in rows.groupby(keys, sort=False):
        table = part.pivot_table(index=["label", "modality"], columns="seed", values="value")
        if not {a, b, "joint"} <= set(part["label"]):
            continue
        m = table.loc["joint"].mean(axis=1).idxmax()
        both = table.loc[[(a, m), (b, m)]].dropna(axis=1)
        said = f"share of {m}, {names[a]} - {names[b]}, {Comparison(dataset, fusion).name}:"
        effects.append(effect(said, 100 * (both.iloc[0] - both.iloc[1])))
    return effects


def smoother(frame: pd.DataFrame, a: str, b: str) -> list[Effect]:
    """How much smoother a's fused test accuracy moves than b's: the standard deviation of its
    change from one epoch to the next over the second half of training, b's minus a's, in points,
    paired by seed.

    Args:
        frame: rows with every epoch.
        a, b: labels.
    """
    rows = frame[
        (frame["split"] == "test")
        & (frame["metric"] == "accuracy")
        & (frame["modality"] == "fused")
        & (frame["epoch"] > frame["epoch"].max() / 2)
    ]
    effects = []
    for (dataset, fusion), part in rows.groupby(["dataset", "fusion"], sort=False):
        table = part.pivot_table(index=["label", "seed"], columns="epoch", values="value")
        rough = table.diff(axis=1).std(axis=1)
        if {a, b} <= set(part["label"]):
            said = f"roughness of {b} - {a}, {Comparison(dataset, fusion).name}:"
            effects.append(effect(said, 100 * (rough[b] - rough[a]).dropna()))
    return effects


def gap_follows(frame: pd.DataFrame) -> list[Effect]:
    """Kendall's tau between Keskar's Q of all weights and the normalised generalisation gap.

    Args:
        frame: frozen sharpness of many runs.
    """
    tau = correlations(gaps(frame))["keskar"]
    return [Effect("tau of Q and gap:", tau.tau, tau.low, tau.high, tau.runs, tau.p_value, "")]


def effect(what: str, differences: Iterable[float], unit: str = "points") -> Effect:
    """The effect of differences, one per seed; of fewer than two, one that shows nothing."""
    d = np.asarray(list(differences), float)
    if len(d) < 2:
        return Effect(what, float(d.mean()) if len(d) else 0.0, np.nan, np.nan, len(d), 1.0, unit)
    return _of_test(what, paired(d, np.zeros(len(d))), unit)


def _of_test(what: str, test: PairedTest, unit: str = "points") -> Effect:
    return Effect(what, test.difference, test.low, test.high, test.n, test.p_t, unit)
