"""One number per sample, such as the sentiment of CMU-MOSI in [-3, 3]."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from msam_lib.errors import MsamError, unknown_name
from msam_lib.tasks.base import Task

LOSSES = ("l1", "l2", "huber")


class Regression(Task):
    """Each sample has a number: mean absolute error.

    Targets are (N,) floats, outputs (N, 1).

    Args:
        loss: `"l1"` (CGGM), `"l2"` (LNLN) or `"huber"` (transition at `scale`). The curvature of
            `"l1"` is zero nearly everywhere: take another one to study that.
        scale: size of a middling error, such as the mean absolute error of the training median; the
            smooth score is exp(-|error| / scale).
        limits: lowest and highest target where targets are ordinal scores around 0, (-3, 3) for
            MOSI and MOSEI, (-1, 1) for CH-SIMS: then the published classification metrics are
            measured, too.
    """

    kind: ClassVar = "regression"
    headline: ClassVar = "mae"
    higher_is_better: ClassVar = False
    percent: ClassVar = False
    outputs = 1

    def __init__(
        self, loss: str = "l1", scale: float = 1.0, limits: tuple[float, float] | None = None
    ) -> None:
        if loss not in LOSSES:
            raise unknown_name("loss", loss, LOSSES)
        if not (scale > 0 and math.isfinite(scale)):
            raise MsamError(f"scale={scale}; a positive number is needed.")
        if limits is not None and not limits[0] < 0 < limits[1]:
            raise MsamError(f"limits={limits}; use (low, high) with low < 0 < high, or None.")
        self.shape, self.scale, self.limits = loss, scale, limits

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        error = (z.squeeze(-1) - y.to(z)).abs()
        if self.shape == "l1":
            return error
        if self.shape == "l2":
            return error.square()
        near = error.square() / (2 * self.scale)
        return torch.where(error < self.scale, near, error - self.scale / 2)

    def score(self, z: Tensor, y: Tensor) -> Tensor:
        """exp(-|error| / scale)."""
        return (-(z.squeeze(-1) - y.to(z)).abs() / self.scale).exp()

    def credit(self, z: Tensor, y: Tensor) -> Tensor:
        """1 where the sign is right, zero counting as positive (CGGM's measure)."""
        return ((z.squeeze(-1) >= 0) == (y >= 0)).to(z.dtype)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """The negative mean absolute error: contributions are the error that a modality removes."""
        return -(z.squeeze(-1).double() - y.double()).abs().mean(-1)

    def headline_of(self, z: Tensor, y: Tensor) -> float:
        return -float(self.value(z, y))

    def metrics(self, z: Tensor, y: Tensor) -> dict[str, float]:
        """`mae`, `correlation` (Pearson's; 0 for a network whose answer is constant) and, for
        ordinal scores, `acc2` and `f1` (sign right, zero targets left out: "Non0"), `acc2_has0` and
        `f1_has0` (zero counts as positive), `acc5` and `acc7` (rounded, clipped to 2 and 3). Of
        scores within ±1, as CH-SIMS has them: `acc2` and `f1` (zero counts as negative), `acc3`
        (split at ±0.1) and `acc5` (at ±0.1 and ±0.7).
        """
        guess, truth = z.squeeze(-1).double().cpu(), y.double().cpu()
        out = {"mae": float((guess - truth).abs().mean()), "correlation": 0.0}
        # not by the standard deviation, which rounding leaves above 0 for most constants
        if all(len(x) and float(x.min()) < float(x.max()) for x in (guess, truth)):
            from scipy.stats import pearsonr  # here, as SciPy takes a while to import

            out["correlation"] = float(pearsonr(guess.numpy(), truth.numpy())[0])
        if self.limits is None:
            return out
        if max(map(abs, self.limits)) <= 1:
            return out | _bands(guess, truth)
        signed = truth != 0
        out |= _signs((guess > 0)[signed], (truth > 0)[signed], "")
        out |= _signs(guess >= 0, truth >= 0, "_has0")
        for classes, most in ((5, 2), (7, 3)):
            same = guess.clamp(-most, most).round() == truth.clamp(-most, most).round()
            out[f"acc{classes}"] = float(same.double().mean())
        return out

    def constant(self, y: Tensor) -> Tensor:
        """The median, the best constant for the absolute error (the mean for `"l2"`)."""
        y = y.double()
        return (y.mean() if self.shape == "l2" else y.median())[None]

    def floor(self, train: Tensor, y: Tensor) -> float:
        """The mean absolute error of the training median, whatever the loss."""
        return self.headline_of(train.double().median().expand(len(y), 1), y)

    def expected(self) -> str:
        return "floats (N,)"

    def suits(self, y: Tensor) -> bool:
        return y.dim() == 1 and y.is_floating_point()

    def __repr__(self) -> str:
        return f"Regression({self.shape!r}, scale={self.scale}, limits={self.limits})"


def _bands(guess: Tensor, truth: Tensor) -> dict[str, float]:
    """The metrics of CH-SIMS; a score on an edge is in the lower band."""
    out = _signs(guess > 0, truth > 0, "")
    for edges in ([-0.1, 0.1], [-0.7, -0.1, 0.1, 0.7]):
        at = torch.tensor(edges, dtype=torch.float64) + 1e-6  # labels come from single precision
        same = torch.bucketize(guess, at) == torch.bucketize(truth, at)
        out[f"acc{len(edges) + 1}"] = float(same.double().mean())
    return out


def _signs(guess: Tensor, truth: Tensor, suffix: str) -> dict[str, float]:
    """Accuracy and weighted F1 score of two classes."""
    if not len(truth):
        return {}
    from sklearn.metrics import f1_score  # as above

    f1 = f1_score(truth.numpy(), guess.numpy(), average="weighted", zero_division=0)
    return {
        f"acc2{suffix}": float((guess == truth).double().mean()),
        f"f1{suffix}": float(f1),
    }
