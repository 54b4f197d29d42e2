"""Means over seeds with intervals, and paired comparisons of two methods."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from pandas.core.groupby import SeriesGroupBy

from msam_lib.errors import MsamError, unknown_name
from msam_lib.results.headline import headline_of
from msam_lib.results.statistics import PairedTest, paired, t_factor


def summary(frame: pd.DataFrame, *, by: Sequence[str] = (), level: float = 0.95) -> pd.DataFrame:
    """Mean over seeds with its Student-t interval.

    Args:
        frame: tidy rows, one epoch of each run (`reported_epoch`) or several with `by=["epoch"]`.
        by: further columns to keep apart.
        level: of the interval.

    Returns:
        One row per dataset, fusion, method, label, split, modality, metric (and `by`): mean, sd,
        low, high, half (half-width), n; sd and interval are NaN where n = 1.

    Raises:
        MsamError: several epochs of one run would be averaged.
    """
    keys = ["dataset", "fusion", "method", "label", "split", "modality", "metric", *by]
    if frame.duplicated([*keys, "run"]).any():
        raise MsamError(
            "Several epochs of one run would be averaged. Take reported_epoch(frame) first, or "
            "by=['epoch']."
        )
    return intervals(frame.groupby(keys, sort=False)["value"], level).reset_index()


def intervals(groups: SeriesGroupBy, level: float = 0.95) -> pd.DataFrame:
    """Mean of every group with its Student-t interval: columns mean, sd, n, half, low, high."""
    out = groups.agg(mean="mean", sd="std", n="count")
    out["half"] = out["sd"] * t_factor(out["n"].to_numpy(), level)
    out["low"], out["high"] = out["mean"] - out["half"], out["mean"] + out["half"]
    return out


def paired_test(
    frame: pd.DataFrame,
    a: str,
    b: str,
    *,
    metric: str = "",
    modality: str = "fused",
    split: str = "test",
) -> PairedTest:
    """The comparison of two labels over the seeds that both have; the difference is a - b, so of
    errors (`"mae"`) a negative one says that a is better.

    Args:
        frame: rows of `reported_epoch`, one data set and one fusion.
        a, b: labels.
        metric, modality, split: what is compared; by default the headline metric (accuracy, AUPRC
            or MAE) of the whole model on the test split.

    Raises:
        MsamError: an unknown label, several values per seed, or fewer than two seeds in common.
    """
    known = frame["label"].unique()
    for label in (a, b):
        if label not in known:
            raise unknown_name("label", label, known)
    metric = metric or headline_of(frame).metric
    rows = frame[
        (frame["metric"] == metric) & (frame["modality"] == modality) & (frame["split"] == split)
    ]
    rows = rows[rows["label"].isin([a, b])]
    if rows.duplicated(["label", "seed"]).any():
        raise MsamError(
            f"Several values of {metric} per label and seed. Take reported_epoch(frame) of one "
            "data set and one fusion first."
        )
    # Only seeds that both labels have form pairs.
    wide = rows.pivot(index="seed", columns="label", values="value").dropna()
    if a not in wide or b not in wide or len(wide) < 2:
        raise MsamError(f"{a} and {b} have {len(wide)} seeds in common; at least 2 are needed.")
    return paired(wide[a].to_numpy(), wide[b].to_numpy())
