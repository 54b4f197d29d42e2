"""The normalised generalisation gap, and how well a sharpness measure ranks it over a set of runs.

Reading stored results needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from msam_lib.errors import MsamError

if TYPE_CHECKING:
    from torch import nn

    from msam_lib.data.base import MultimodalDataset


def normalised_gap(train: float, test: float) -> float:
    """100 · (Acc_train − Acc_test) / Acc_train, in percent; NaN where the training accuracy is 0.

    >>> normalised_gap(0.8, 0.6)
    25.0
    """
    return 100 * (train - test) / train if train > 0 else math.nan


def generalization_gap(
    model: nn.Module, train: MultimodalDataset, test: MultimodalDataset, **options: Any
) -> dict[str, float]:
    """The normalised gap of the fused prediction (`"fused"`) and of each modality alone, in
    percent.

    Args:
        model: evaluated, not changed.
        train: training samples, without augmentation.
        test: samples never trained on.
        options: of `msam_lib.training.evaluate`, e.g. `method`.
    """
    from msam_lib.training.evaluate import evaluate

    accuracy = [
        {r.modality: r.value for r in evaluate(model, data, **options) if r.metric == "accuracy"}
        for data in (train, test)
    ]
    return {m: normalised_gap(a, accuracy[1][m]) for m, a in accuracy[0].items()}


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
    """Do runs with a larger measure have a larger gap? (Jiang et al., ICLR 2020, section 4 use the
    same τ.)

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
    whole = ~(np.isnan(x) | np.isnan(y))
    x, y = x[whole], y[whole]
    n = len(x)
    if n < 3:
        raise MsamError(f"{n} complete pairs; a rank correlation needs at least 3 runs.")
    found = kendalltau(x, y)
    s, t = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)  # (R, n)
    count = lambda m: np.einsum("ri,ij,rj->r", draws, m, draws, optimize=True)  # noqa: E731
    with np.errstate(invalid="ignore", divide="ignore"):
        taus = count(s * t) / np.sqrt(count(s * s) * count(t * t))
    tail = 50 * (1 - level)
    taus = taus[np.isfinite(taus)]
    low, high = np.percentile(taus, [tail, 100 - tail]) if len(taus) else (math.nan, math.nan)
    return RankCorrelation(
        float(found.statistic), float(low), float(high), level, float(found.pvalue), n
    )


def correlate_with_gap(
    measures: Mapping[str, Sequence[float]], gap: Sequence[float], **options: Any
) -> dict[str, RankCorrelation]:
    """Kendall's τ with the gap for each measure; options as for `kendall_tau`."""
    return {name: kendall_tau(values, gap, **options) for name, values in measures.items()}
