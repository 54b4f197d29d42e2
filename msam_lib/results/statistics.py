"""Intervals and tests over a few seeds: Student t, bootstrap, exact permutation test, ranks.

Plain functions of arrays; `msam_lib.results` applies them to frames. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import comb
from typing import NamedTuple

import numpy as np

from msam_lib.errors import MsamError

ENUMERATED = 20  # sign patterns are enumerated up to this many pairs: 2^20 in a second


class Interval(NamedTuple):
    """Mean of `n` values with an interval; the bounds are NaN where n = 1."""

    mean: float
    low: float
    high: float
    n: int


class PairedTest(NamedTuple):
    """Comparison of two methods a and b, paired by seed; all tests are two-sided.

    Args:
        n: number of seeds.
        difference: mean(a - b), in the units of the values.
        low, high: 95 % Student-t interval of the difference.
        p_t: p value of the paired t test.
        p_sign: p value of the sign test.
        p_permutation: p value of the exact test over all sign patterns.
        smallest_p: the smallest `p_permutation` that n seeds can give, 2^(1-n).
    """

    n: int
    difference: float
    low: float
    high: float
    p_t: float
    p_sign: float
    p_permutation: float
    smallest_p: float

    def __str__(self) -> str:
        text = (
            f"difference {self.difference:+.4g} (95 % interval {self.low:.4g} to {self.high:.4g}), "
            f"n = {self.n} seeds, p = {self.p_t:.3g} (t), {self.p_permutation:.3g} (exact)"
        )
        if self.smallest_p > 0.05:
            text += (
                f"; with n = {self.n} the exact test cannot go below {self.smallest_p:g}, "
                "so it cannot reach 0.05 whatever the data"
            )
        return text


def t_factor(n: np.ndarray | int, level: float = 0.95) -> np.ndarray:
    """Half-width of the Student-t interval in standard deviations: t_(n-1) / sqrt(n); NaN where
    n < 2.
    """
    from scipy.special import stdtrit  # scipy.stats would take half a second to import

    _check_level(level)
    n = np.asarray(n, dtype=float)
    enough = np.where(n < 2, np.nan, n)
    return stdtrit(enough - 1, 0.5 + level / 2) / np.sqrt(enough)


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """Mean and Student-t interval: mean ± t_(n-1) s / sqrt(n). Same units as the values.

    >>> t_interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, low=-0.484..., high=4.484..., n=3)
    """
    x = _sample(values)
    spread = x.std(ddof=1) if len(x) > 1 else np.nan
    half = float(spread * t_factor(len(x), level))
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half), len(x))


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    level: float = 0.95,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Mean and percentile bootstrap interval (Efron, Ann. Statist. 1979).

    Where there are no more than `resamples` of them, all n^n resamples are taken, and nothing is
    random. The interval is too narrow for few seeds: at n = 3 the nominal 95 % cover about 70 %;
    prefer `t_interval`.
    """
    x = _sample(values)
    _check_level(level)
    if len(x) < 2:
        return Interval(float(x.mean()), float("nan"), float("nan"), len(x))
    if len(x) ** len(x) <= resamples:
        index = np.array(list(product(range(len(x)), repeat=len(x))))
    else:
        index = np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))
    low, high = np.quantile(x[index].mean(1), [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(x.mean()), float(low), float(high), len(x))


def paired(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> PairedTest:
    """The comparison of two methods over the same seeds.

    Args:
        a, b: one value per seed, in the same order.

    Raises:
        MsamError: unequal lengths, or fewer than two pairs.
    """
    from scipy.special import stdtr

    x, y = _sample(a), _sample(b)
    if len(x) != len(y) or len(x) < 2:
        raise MsamError(f"{len(x)} and {len(y)} values; two or more pairs of the same seeds.")
    d = x - y
    n, mean, low, high = len(d), *t_interval(d)[:3]
    error = d.std(ddof=1) / np.sqrt(n)
    if error > 0:  # where all differences are equal, t is infinite, or undefined at 0
        p_t = float(2 * stdtr(n - 1, -abs(mean) / error))
    else:
        p_t = 1.0 if mean == 0 else 0.0
    return PairedTest(n, mean, low, high, p_t, _sign(d), _permutation(d), 2.0 ** (1 - n))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """p values adjusted for their number (Holm, Scand. J. Stat. 1979): where one of them is below
    0.05, the chance that any true null hypothesis is rejected is at most 5 %. In the order given.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = _sample(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    # The smallest times k, the next times k - 1, ..., never below the one before.
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


class Ranks(NamedTuple):
    """Average ranks of k methods over N blocks.

    Args:
        average: (k,) ranks; 1 is best.
        critical_difference: Nemenyi's; two methods whose ranks differ by less cannot be
            distinguished at that level.
        p_friedman: p value of Friedman's test of whether any two differ.
        blocks: N.
    """

    average: np.ndarray
    critical_difference: float
    p_friedman: float
    blocks: int


def average_ranks(scores: np.ndarray, level: float = 0.05) -> Ranks:
    """Average ranks, with Friedman's test and Nemenyi's critical difference (Demsar, JMLR 2006,
    section 3.2.2).

    CD = q sqrt(k (k + 1) / (6 N)), q the studentised range for k groups over sqrt(2). Equal scores
    share their mean rank.

    Args:
        scores: (N, k), a row per block (data set and fusion), a column per method; larger is
            better.
        level: of significance.

    Raises:
        MsamError: a missing score, fewer than 2 blocks or 3 methods.

    >>> average_ranks(np.array([[3.0, 2, 1], [3, 2, 1]])).average
    array([1., 2., 3.])
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    x = np.asarray(scores, dtype=float)
    if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] < 3 or not np.isfinite(x).all():
        raise MsamError(
            f"scores of shape {x.shape}; every method needs a score in every block: 2 or more "
            "blocks (rows), 3 or more methods (columns)."
        )
    n, k = x.shape
    ranks = rankdata(-x, axis=1).mean(0)
    # The studentised range for infinite degrees of freedom, as in Demsar's Table 5.
    q = float(studentized_range.ppf(1 - level, k, np.inf)) / np.sqrt(2)
    difference = q * float(np.sqrt(k * (k + 1) / (6 * n)))
    return Ranks(ranks, difference, float(friedmanchisquare(*x.T).pvalue), n)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise MsamError(f"level={level}; a share between 0 and 1, such as 0.95.")


def _sample(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The values as a vector (n,), n at least 1."""
    x = np.asarray(values, dtype=float).ravel()
    if len(x) == 0:
        raise MsamError("No values were given; at least one is needed.")
    return x


def _sign(d: np.ndarray) -> float:
    """p value of the two-sided sign test; differences of zero are left out."""
    n, up = int((d != 0).sum()), int((d > 0).sum())
    tail = sum(comb(n, k) for k in range(min(up, n - up) + 1)) / 2**n
    return min(1.0, 2 * tail)


def _permutation(d: np.ndarray) -> float:
    """p value of the permutation test: the share of sign patterns whose mean is at least as far
    from 0 as the one seen; of 100,000 drawn ones beyond 2^20.
    """
    n = len(d)
    if n <= ENUMERATED:
        # Both signs of one difference after the other; the tolerance counts equal sums as equal.
        sums = np.zeros(1)
        for value in np.abs(d):
            sums = np.concatenate([sums + value, sums - value])
        return float((np.abs(sums) >= abs(d.sum()) - 1e-12).mean())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(100_000, n))
    hits = int((np.abs(signs @ d) >= abs(d.sum()) - 1e-12).sum())
    return (hits + 1) / 100_001  # the observed pattern counts as one of them
