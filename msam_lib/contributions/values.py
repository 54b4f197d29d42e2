"""The value Phi of a coalition: how well the model does on a batch with these modalities."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from msam_lib._utils.precision import full
from msam_lib.contributions.shapley import double
from msam_lib.errors import unknown_name

ValueFunction = Callable[[Tensor, Tensor], Tensor]


def correct_counts(logits: Tensor, targets: Tensor) -> Tensor:
    """How many of N answers are right (K,), whole numbers, of logits (K, N, C). Of equal logits the
    first class counts as the answer.
    """
    return (logits.max(-1).indices == targets).sum(-1)


def accuracy_value(logits: Tensor, targets: Tensor) -> Tensor:
    """Batch accuracy (K,) of logits (K, N, C): the paper's Phi. Quantised to 1/N."""
    return double(correct_counts(logits, targets)) / len(targets)


def log_likelihood_value(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean log-likelihood in nats (K,) of logits (K, N, C): smooth, unbounded below."""
    return _mean_at(full(logits).log_softmax(-1), targets)


def confidence_value(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean probability of the true class (K,) of logits (K, N, C): smooth, in [0, 1]."""
    return _mean_at(full(logits).softmax(-1), targets)


def _mean_at(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean over the samples of the scores (K, N, C) at the true class."""
    column = targets.expand(len(scores), -1).unsqueeze(-1)  # (K, N, 1)
    return double(scores.gather(-1, column)).mean((-2, -1))


VALUES: dict[str, ValueFunction] = {
    "accuracy": accuracy_value,
    "log_likelihood": log_likelihood_value,
    "confidence": confidence_value,
}


def value_function(value: str | ValueFunction) -> ValueFunction:
    """The value function of that name, or the given callable (logits (K, N, C), targets (N,)) ->
    (K,).
    """
    if callable(value):
        return value
    if value not in VALUES:
        raise unknown_name("value", value, VALUES)
    return VALUES[value]
