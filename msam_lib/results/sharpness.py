"""Sharpness against the generalisation gap, over a set of runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from msam_lib.errors import MsamError

IDENTITY = ("dataset", "fusion", "method", "label", "seed")


def gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per run, modality and measure: columns of the run (`IDENTITY`), modality, measure,
    value, and gap, the run's normalised generalisation gap of the fused accuracy (percent).
    """
    of_run = list(IDENTITY)
    gap = frame[(frame["metric"] == "normalised_gap") & (frame["modality"] == "fused")]
    gap = gap[[*of_run, "value"]].rename(columns={"value": "gap"})
    rows = frame[frame["metric"] != "normalised_gap"].rename(columns={"metric": "measure"})
    return rows.merge(gap, on=of_run, how="inner")


def correlations(rows: pd.DataFrame, modality: str = "fused") -> dict[str, RankCorrelation]:
    """{measure: Kendall's tau with the gap} over all runs, for the sharpness of one block.

    Args:
        rows: of `gaps`.
        modality: whose encoder; `"fused"` for all weights.
    """
    block_rows = rows[rows["modality"] == modality]
    return {
        str(measure): kendall_tau(part["value"].to_numpy(), part["gap"].to_numpy())
        for measure, part in block_rows.groupby("measure", sort=False)
    }


def normalised_gap(train: float, test: float) -> float:
    """100 · (Acc_train − Acc_test) / Acc_train, in percent; NaN where the training accuracy is 0.

    >>> normalised_gap(0.8, 0.6)
    25.0
    """
    return 100 * (train - test) / train if train > 0 else math.nan


@dataclass(frozen=True)
class RankCorrelation:
    """Kendall's τ_b with a bootstrap interval.

    Args:
        tau: in [-1, 1]; NaN where one side is constant.
        low, high: percentile bootstrap interval over runs.
        level: of the interval.
        p_value: of τ = 0 (SciPy).
        runs: number of pairs.
    """

    tau: float
    low: float
    high: float
    level: float
    p_value: float
    runs: int

    def __str__(self) -> str:
        return f"τ = {self.tau:.2f} [{self.low:.2f}, {self.high:.2f}] ({self.runs} runs)"


def kendall_tau(
    measure: Sequence[float] | np.ndarray,
    gap: Sequence[float] | np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> RankCorrelation:
    """Kendall's rank correlation between a measure and the gap over runs (as in Jiang et al., ICLR
    2020, section 4), with a bootstrap interval.

    τ_b = Σ_{i<j} s_ij t_ij / √(Σ s_ij² · Σ t_ij²), with s_ij and t_ij the signs of the differences.
    The interval resamples whole runs; pairs of a run with itself count as ties.

    Args:
        measure, gap: one number per run; pairs with a NaN are left out.
        level: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        MsamError: unequal lengths, or fewer than three complete pairs.

    >>> kendall_tau([1, 2, 3, 4], [10, 20, 40, 30]).tau
    0.67
    """
    from scipy.stats import kendalltau

    x, y = np.asarray(measure, float), np.asarray(gap, float)
    if x.shape != y.shape or x.ndim != 1:
        raise MsamError(
            f"The measure has shape {x.shape}, the gap {y.shape}; both need one number per run."
        )
    complete = ~(np.isnan(x) | np.isnan(y))
    x, y = x[complete], y[complete]
    n = len(x)
    if n < 3:
        raise MsamError(f"{n} complete pairs; a rank correlation needs at least 3 runs.")
    result = kendalltau(x, y)
    # A resample is a vector of counts r; its sum over pairs is r' (s * t) r, ties included.
    s, t = np.sign(x[:, None] - x), np.sign(y[:, None] - y)  # (n, n)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)  # (R, n)
    count = lambda m: np.einsum("ri,ij,rj->r", draws, m, draws, optimize=True)  # noqa: E731
    with np.errstate(invalid="ignore", divide="ignore"):
        taus = count(s * t) / np.sqrt(count(s * s) * count(t * t))  # (R,)
    # A resample in which one side is constant has no τ and is left out.
    tail = 50 * (1 - level)
    taus = taus[np.isfinite(taus)]
    low, high = np.percentile(taus, [tail, 100 - tail]) if len(taus) else (math.nan, math.nan)
    return RankCorrelation(
        float(result.statistic), float(low), float(high), level, float(result.pvalue), n
    )


def correlate_with_gap(
    measures: Mapping[str, Sequence[float]], gap: Sequence[float], **options: Any
) -> dict[str, RankCorrelation]:
    """Kendall's τ with the gap for each measure; options as for `kendall_tau`."""
    return {name: kendall_tau(values, gap, **options) for name, values in measures.items()}
