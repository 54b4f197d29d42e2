"""The metric of each task that tables, tuning and the choice of an epoch take, as in the papers."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

import pandas as pd


class Headline(NamedTuple):
    """One metric.

    Args:
        metric: its name in frames.
        title: as the heading of a column says it, with its unit.
        words: as a caption says it.
        unit: of the values shown, as a caption says it.
        higher_is_better: whether it is.
        factor: of the values shown: 100 shows shares in percent, 1 leaves the labels' unit.
        decimals: digits shown after the point.
        floor: the answer that ignores its input, whose value is the floor.
    """

    metric: str
    title: str
    words: str
    unit: str
    higher_is_better: bool
    factor: float
    decimals: int
    floor: str

    @property
    def measured(self) -> tuple[str, str, str]:
        """The metric by its three definitions for one modality; see `training.evaluate`."""
        return self.metric, f"{self.metric}_head", f"{self.metric}_shapley"

    @property
    def floor_metric(self) -> str:
        """The name in frames of what the best answer that ignores its input reaches."""
        return f"{self.metric}_floor"

    @property
    def better(self) -> str:
        """Which values are better, in words."""
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def sign(self) -> int:
        """1, or -1 of an error: times this, larger is better."""
        return 1 if self.higher_is_better else -1

    def best(self, values: pd.Series) -> float:
        """The best of several values."""
        return float(values.max() if self.higher_is_better else values.min())

    def text(self, value: float, *, unit: bool = True) -> str:
        """A value as it is shown.

        >>> HEADLINES["accuracy"].text(0.871), HEADLINES["mae"].text(0.871)
        ('87.1 %', '0.871')
        """
        if not isfinite(value):
            return "—"
        percent = " %" if unit and self.factor == 100 else ""
        return f"{self.factor * value:z.{self.decimals}f}{percent}"


PERCENT = "in percent"
HEADLINES: dict[str, Headline] = {
    "accuracy": Headline(
        "accuracy", "accuracy (%)", "accuracy", PERCENT, True, 100, 1, "the commonest class"
    ),
    "auprc": Headline(
        "auprc",
        "AUPRC (%)",
        "macro AUPRC (area under the precision-recall curve, mean over labels)",
        PERCENT,
        True,
        100,
        1,
        "prevalence",
    ),
    "mae": Headline(
        "mae",
        "MAE",
        "MAE (mean absolute error)",
        "in the unit of the labels",
        False,
        1,
        3,
        "always the training median",
    ),
}


def headline_of(frame: pd.DataFrame) -> Headline:
    """The headline metric of the runs in a frame; accuracy where the frame has none of them."""
    present = set(frame.loc[frame["modality"] == "fused", "metric"])
    return next((h for m, h in HEADLINES.items() if m in present), HEADLINES["accuracy"])


def headlines(frame: pd.DataFrame) -> dict[str, Headline]:
    """{data set: the headline metric of its runs}."""
    return {str(name): headline_of(part) for name, part in frame.groupby("dataset", sort=False)}


def in_words(chosen: dict[str, Headline]) -> str:
    """What a table of these data sets shows, for its caption.

    >>> in_words({"digits": HEADLINES["accuracy"], "isl": HEADLINES["accuracy"]})
    'accuracy in percent (higher is better)'
    """
    distinct = list(dict.fromkeys(chosen.values()))
    parts = []
    for one in distinct:
        where = [name for name, h in chosen.items() if h == one]
        of = f" of {', '.join(where)}" if len(distinct) > 1 else ""
        parts.append(f"{one.words}{of} {one.unit} ({one.better})")
    return "; ".join(parts)
