"""The value Phi of a coalition: how well the model does on a batch with these modalities."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from msam_lib._utils.precision import full
from msam_lib.contributions.shapley import double
from msam_lib.errors import MsamError, unknown_name
from msam_lib.tasks import CLASSIFICATION, Classification, Task

ValueFunction = Callable[[Tensor, Tensor], Tensor]

VALUES = ("task", "accuracy", "log_likelihood", "confidence")


def correct_counts(logits: Tensor, targets: Tensor) -> Tensor:
    """How many of N answers are right (K,), whole numbers, of logits (K, N, C). Of equal logits the
    first class counts as the answer.
    """
    return (logits.max(-1).indices == targets).sum(-1)


def accuracy_value(logits: Tensor, targets: Tensor) -> Tensor:
    """Batch accuracy (K,) of logits (K, N, C): the paper's Phi. Quantised to 1/N."""
    return double(correct_counts(logits, targets)) / len(targets)


def counted(value: str | ValueFunction, task: Task = CLASSIFICATION) -> bool:
    """Whether the value is the accuracy, whose right answers can be counted."""
    return value in ("accuracy", accuracy_value) or (
        value == "task" and isinstance(task, Classification)
    )


def value_function(value: str | ValueFunction, task: Task = CLASSIFICATION) -> ValueFunction:
    """The value function of that name, or the given callable (outputs (K, N, C), targets) -> (K,).

    * `"task"`: the task's own (`Task.value`): accuracy (the paper's Phi), the balanced score of
      labels, the negative mean absolute error;
    * `"accuracy"`: of a classification only, quantised to 1/N;
    * `"log_likelihood"`: the negative loss, in nats for a classification: smooth, unbounded below;
    * `"confidence"`: `Task.score`, the probability of the truth: smooth, in [0, 1].

    Raises:
        MsamError: an unknown name, or the accuracy of another task.
    """
    if callable(value):
        return value
    if value not in VALUES:
        raise unknown_name("value", value, VALUES)
    if value == "accuracy" and not isinstance(task, Classification):
        raise MsamError(
            f"value='accuracy' is the share of right classes; {task!r} has none. Use value='task', "
            "'log_likelihood' or 'confidence'."
        )
    if value == "log_likelihood":
        return lambda z, y: double(-task.losses(full(z), y)).mean(-1)
    if value == "confidence":
        return lambda z, y: double(task.score(full(z), y)).mean(-1)
    return accuracy_value if isinstance(task, Classification) else task.value
