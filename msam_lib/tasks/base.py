"""`Task`: the interface that the four kinds of tasks fill in."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from msam_lib.errors import MsamError


class Task:
    """What is being learnt. Outputs z of the network are (..., N, C): leading axes are coalitions
    or modalities, N samples, C output units.

    Class attributes: `kind`, `headline` (the metric that tables, tuning and figures take, as the
    papers do), `higher_is_better` and `percent` (whether it is a share, shown in percent).
    """

    kind: ClassVar[str]
    headline: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    percent: ClassVar[bool] = True
    outputs: int  # C; 0 leaves it to the network
    segments: int = 1  # parts of a sample that are answered one by one

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        """The loss of each sample (..., N)."""
        raise NotImplementedError

    def loss(self, z: Tensor, y: Tensor) -> Tensor:
        """The training loss: its mean over the samples, a scalar for outputs (N, C)."""
        return self.losses(z, y).mean(-1)

    def score(self, z: Tensor, y: Tensor) -> Tensor:
        """How well each sample is answered (..., N), smooth and in [0, 1]: what methods take that
        compare modalities by the probability of the truth.
        """
        raise NotImplementedError

    def credit(self, z: Tensor, y: Tensor) -> Tensor:
        """How much of each sample is answered rightly (..., N), in [0, 1]: its accuracy."""
        raise NotImplementedError

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Phi (...): the performance whose Shapley values are the modalities' contributions."""
        raise NotImplementedError

    def metrics(self, z: Tensor, y: Tensor) -> dict[str, float]:
        """The metrics of a whole split, from outputs (N, C) and targets."""
        raise NotImplementedError

    def headline_of(self, z: Tensor, y: Tensor) -> float:
        """The headline metric alone."""
        return self.metrics(z, y)[self.headline]

    def shown(self, value: float, *, short: bool = False) -> str:
        """A value of the headline metric as a bar shows it, in percent where it is a share."""
        if self.percent:
            return f"{100 * value:.{0 if short else 1}f}"
        return f"{value:.{2 if short else 3}f}"

    def constant(self, y: Tensor) -> Tensor:
        """The outputs (C,) of the best answer that ignores its input, for these targets."""
        raise NotImplementedError

    def floor(self, train: Tensor, y: Tensor) -> float:
        """The headline metric, on targets y, of the best answer that ignores its input, as learnt
        from the training part's targets: the floor of every table.
        """
        return self.headline_of(self.constant(train).expand(len(y), -1), y)

    def expected(self) -> str:
        """The targets' shape and type, in words."""
        raise NotImplementedError

    def suits(self, y: Tensor) -> bool:
        """Whether targets have the right type and shape."""
        raise NotImplementedError

    def check(self, y: Tensor) -> None:
        """
        Raises:
            MsamError: the targets are not of this task.
        """
        if not self.suits(y):
            raise MsamError(
                f"targets of type {y.dtype} and shape {tuple(y.shape)}; {self!r} needs "
                f"{self.expected()}. Convert them, or choose another task: Classification, "
                "Multilabel, Regression or SegmentClassification (msam_lib.tasks)."
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.outputs})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def at_targets(scores: Tensor, y: Tensor) -> Tensor:
    """The scores (..., N, C) at the true class (..., N)."""
    column = y.expand(*scores.shape[:-1]).unsqueeze(-1)
    return scores.gather(-1, column).squeeze(-1)


def checked_outputs(outputs: int, what: str) -> int:
    """`outputs`, if it is a positive whole number."""
    if isinstance(outputs, bool) or not isinstance(outputs, int) or outputs < 1:
        raise MsamError(f"{what}={outputs!r}; a whole number of at least 1 is needed.")
    return outputs
