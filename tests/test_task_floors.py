"""The floor of every task: what the best answer that ignores its input reaches."""

from __future__ import annotations

import pytest
import torch

from msam_lib.tasks import Classification, Multilabel, Regression
from tests.test_tasks import TASKS, targets


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_floor_is_what_the_best_answer_that_ignores_its_input_reaches(task):
    train, y = targets(task, 99), targets(task, 40)
    floor = task.floor(train, y)
    if task.kind == "classification":
        commonest = train.bincount().argmax()
        assert floor == pytest.approx(float((y == commonest).double().mean()))
    elif task.kind == "multilabel":
        assert floor == pytest.approx(float(y.mean(0).mean()))  # the area of a constant: prevalence
    elif task.kind == "segments":  # the commonest class of the first segments, of the second, ...
        commonest = torch.stack([column.bincount().argmax() for column in train.unbind(1)])
        assert floor == pytest.approx(float((y == commonest).double().mean()))
    else:  # the median under every loss, also where the loss prefers the mean
        middle = train.sort().values[49]
        assert floor == pytest.approx(float((y - middle).abs().mean()))


def test_a_label_that_training_never_saw_does_not_break_the_floor():
    train = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    y = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert Multilabel(2).floor(train, y) == pytest.approx(0.25)
    assert Classification(3).floor(torch.tensor([2, 2, 0]), torch.tensor([2, 1])) == 0.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("answer", [0.5, 0.1, 1 / 3])
def test_a_constant_answer_has_no_correlation(answer):
    """Also where rounding leaves its standard deviation above 0."""
    y = torch.linspace(-1, 1, 7)
    assert Regression().metrics(torch.full((7, 1), answer), y)["correlation"] == 0.0
    assert Regression().metrics(y[:, None], torch.full((7,), answer))["correlation"] == 0.0
    assert Regression().metrics(2 * y[:, None], y)["correlation"] == pytest.approx(1)
