"""The metric of each task that tables, tuning and the choice of an epoch take, as in the papers."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd


class Headline(NamedTuple):
    """One metric.

    Args:
        metric: its name in frames.
        words: as a table says it, with the factor 100 that every value is shown with.
        higher_is_better: whether it is.
    """

    metric: str
    words: str
    higher_is_better: bool

    @property
    def measured(self) -> tuple[str, str, str]:
        """The metric by its three definitions for one modality; see `training.evaluate`."""
        return self.metric, f"{self.metric}_head", f"{self.metric}_shapley"

    def best(self, values: pd.Series) -> float:
        """The best of several values."""
        return float(values.max() if self.higher_is_better else values.min())


HEADLINES: dict[str, Headline] = {
    "accuracy": Headline("accuracy", "accuracies in percent", True),
    "auprc": Headline("auprc", "areas under precision-recall curves in percent", True),
    "mae": Headline("mae", "mean absolute errors times 100", False),
}


def headline_of(frame: pd.DataFrame) -> Headline:
    """The headline metric of the runs in a frame; accuracy where the frame has none of them."""
    present = set(frame.loc[frame["modality"] == "fused", "metric"])
    return next((h for m, h in HEADLINES.items() if m in present), HEADLINES["accuracy"])
