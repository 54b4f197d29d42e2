"""Tasks: losses and scores against closed forms, metrics against hand-made tables."""

import math

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from msam_lib.errors import MsamError
from msam_lib.plots.results_table import results_table
from msam_lib.results.frame import reported_epoch
from msam_lib.results.headline import HEADLINES
from msam_lib.tasks import Classification, Multilabel, Regression, SegmentClassification

N, K = 12, 3
TASKS = {
    "classification": Classification(4),
    "multilabel": Multilabel(5, prevalence=(0.1, 0.2, 0.5, 0.3, 0.4)),
    "l1": Regression(),
    "l2": Regression("l2"),
    "huber": Regression("huber", scale=0.5, limits=(-3, 3)),
    "segments": SegmentClassification(3, segments=2),
}


def targets(task, n=N):
    generator = torch.Generator().manual_seed(1)
    if task.kind == "classification":
        return torch.randint(task.outputs, (n,), generator=generator)
    if task.kind == "segments":
        return torch.randint(task.classes, (n, task.segments), generator=generator)
    if task.kind == "multilabel":
        return (torch.rand(n, task.outputs, generator=generator) < 0.4).float()
    return torch.randn(n, generator=generator)


def outputs(task, *lead, n=N):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(*lead, n, task.outputs, generator=generator)


def perfect(task, y):
    """Outputs that answer every sample rightly and surely."""
    if task.kind == "classification":
        return 60.0 * F.one_hot(y, task.outputs)
    if task.kind == "segments":
        return 60.0 * F.one_hot(y, task.classes).flatten(1)
    return 60.0 * (2 * y - 1) if task.kind == "multilabel" else y[:, None]


@pytest.fixture(params=TASKS.values(), ids=TASKS)
def task(request):
    return request.param


def test_leading_axes_are_independent(task):
    z, y = outputs(task, K), targets(task)
    for ask in (task.losses, task.score, task.credit, task.value):
        rows = torch.stack([ask(part, y) for part in z])
        torch.testing.assert_close(ask(z, y), rows)
    torch.testing.assert_close(task.loss(z[0], y), task.losses(z, y)[0].mean())


def test_a_perfect_answer_has_the_best_of_everything(task):
    y = targets(task)
    z, other = perfect(task, y), outputs(task)
    assert float(task.loss(z, y)) == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(task.score(z, y), torch.ones(N))
    assert (task.credit(z, y) == 1).all()
    assert float(task.value(z, y)) > float(task.value(other, y))
    better = task.metrics(z, y)[task.headline] - task.metrics(other, y)[task.headline]
    assert (better > 0) is task.higher_is_better


def test_scores_lie_between_0_and_1_and_fall_with_the_loss(task):
    z, y = outputs(task, 40), targets(task)
    score = task.score(z, y)
    assert ((score >= 0) & (score <= 1)).all()
    if task.kind == "regression":
        order = task.losses(z, y).flatten().argsort()
        assert (score.flatten()[order].diff() <= 1e-6).all()


def test_the_best_constant_has_no_better_neighbour(task):
    if task.kind == "regression" and task.shape == "huber":
        pytest.skip("its best constant has no closed form; the median is stated as the floor")
    y = targets(task, 101)
    best = task.constant(y).float()
    at_best = float(task.loss(best.expand(101, -1), y))
    for step in (-0.1, 0.1):
        for unit in range(len(best)):
            moved = best.clone()
            moved[unit] += step
            assert float(task.loss(moved.expand(101, -1), y)) >= at_best - 1e-6


def test_targets_of_another_task_are_refused_with_advice(task):
    task.check(targets(task))
    other = TASKS["l1"] if task.kind != "regression" else TASKS["classification"]
    with pytest.raises(MsamError, match=r"targets of type .* needs .*msam_lib\.tasks"):
        task.check(targets(other))


def test_classification_is_cross_entropy_and_accuracy():
    task, z, y = TASKS["classification"], outputs(TASKS["classification"]), torch.arange(N) % 4
    torch.testing.assert_close(task.loss(z, y), F.cross_entropy(z, y), rtol=0, atol=0)
    assert float(task.value(z, y)) == float((z.argmax(-1) == y).double().mean())


def test_segments_are_a_classification_of_each_of_them():
    task, one = TASKS["segments"], Classification(3)
    z, y = outputs(task), targets(task)
    each, flat = z.view(2 * N, 3), y.view(2 * N)  # the logits of the first segment come first
    torch.testing.assert_close(task.loss(z, y), one.loss(each, flat))
    torch.testing.assert_close(task.losses(z, y), one.losses(each, flat).view(N, 2).mean(1))
    torch.testing.assert_close(task.score(z, y), one.score(each, flat).view(N, 2).mean(1))
    torch.testing.assert_close(task.credit(z, y), one.credit(each, flat).view(N, 2).mean(1))
    assert task.metrics(z, y) == one.metrics(each, flat)
    assert 0 < float(task.value(z, y)) == task.headline_of(z, y) == one.headline_of(each, flat)
    with pytest.raises(MsamError, match=r"needs \(N, 6\), 3 logits for each of 2 segments"):
        task.losses(z[:, :5], y)


def test_multilabel_loss_and_balanced_value():
    task = Multilabel(2, prevalence=(0.1, 0.5))
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    z = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])  # probabilities 3/4 and 1/2
    # first label: (5 * 3/4 + 0.5 / 0.9 * 1/2) / 2; second: (1/2 + 3/4) / 2
    expected = ((5 * 0.75 + 0.5 / 0.9 * 0.5) / 2 + (0.5 + 0.75) / 2) / 2
    assert float(task.value(z, y)) == pytest.approx(expected)
    loss = -(math.log(0.75) + math.log(0.5) + math.log(0.5) + math.log(0.75)) / 4
    assert float(task.loss(z, y)) == pytest.approx(loss)
    assert float(task.score(z, y)[0]) == pytest.approx((0.75 + 0.5) / 2)


def test_macro_auprc_counts_the_labels_that_occur():
    task = Multilabel(3)
    y = torch.tensor([[1.0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1]])
    z = torch.tensor([[2.0, 0, 1], [1, 0, 2], [0, 0, 3], [-1, 0, 4]])
    found = task.metrics(z, y)
    # label 0: positives ranked 1 and 3 -> (1 + 2/3) / 2; label 2: positives ranked 1 and 3
    assert found["auprc"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["labels_counted"] == 2
    assert found["auroc"] == pytest.approx(3 / 4)


def test_regression_losses():
    z, y = torch.tensor([[1.0], [0.0], [3.0]]), torch.tensor([0.0, 0.25, 0.0])
    assert Regression().losses(z, y).tolist() == [1, 0.25, 3]
    assert Regression("l2").losses(z, y).tolist() == [1, 0.0625, 9]
    huber = Regression("huber", scale=0.5).losses(z, y)
    reference = F.huber_loss(z[:, 0], y, reduction="none", delta=0.5) / 0.5
    torch.testing.assert_close(huber, reference)
    assert float(Regression(scale=2.0).score(z, y)[0]) == pytest.approx(math.exp(-0.5))


def test_metrics_of_ordinal_scores():
    """By hand: targets with two zeros, a wrong sign, and a prediction beyond the scale."""
    task = Regression(limits=(-3, 3))
    y = torch.tensor([-2.0, -1, 0, 0, 1, 3])
    z = torch.tensor([-1.6, 0.4, -0.2, 0.3, 1.2, 4.0])[:, None]
    found = task.metrics(z, y)
    assert found["mae"] == pytest.approx((0.4 + 1.4 + 0.2 + 0.3 + 0.2 + 1) / 6)
    assert found["acc2"] == pytest.approx(3 / 4)  # without the zeros: - + + + against - - + +
    assert found["acc2_has0"] == pytest.approx(4 / 6)  # - + - + + + against - - + + + +
    assert found["acc7"] == pytest.approx(5 / 6)  # -2 0 0 0 1 3 against -2 -1 0 0 1 3
    assert found["acc5"] == pytest.approx(5 / 6)
    # weighted F1 of - + + + against - - + +: 1/2 * 2/3 + 1/2 * 4/5
    assert found["f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert task.metrics(torch.full((6, 1), 0.5), y)["correlation"] == 0.0


def test_metrics_of_scores_within_one():
    """By hand, with a label on an edge: it belongs to the lower band, and 0 to the negatives."""
    y = torch.tensor([-1.0, -0.1, 0, 0.1, 0.8])
    z = torch.tensor([-0.8, 0.05, -0.2, 0.05, 0.6])[:, None]
    found = Regression(limits=(-1, 1)).metrics(z, y)
    assert found["acc2"] == pytest.approx(4 / 5)  # - + - + + against - - - + +
    assert found["acc3"] == pytest.approx(3 / 5)  # - 0 - 0 + against - - 0 0 +
    assert found["acc5"] == pytest.approx(2 / 5)  # the last is + against ++
    assert "acc7" not in found and "acc2_has0" not in found


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Classification(0), "classes=0"),
        (lambda: SegmentClassification(3, segments=0), "segments=0"),
        (lambda: Multilabel(2, prevalence=(0.5, 1.0)), "prevalence"),
        (lambda: Multilabel(2, prevalence=(0.5,)), "prevalence"),
        (lambda: Regression("l3"), "l3"),
        (lambda: Regression(scale=0), "scale=0"),
        (lambda: Regression(limits=(1, 3)), "limits"),
    ],
)
def test_bad_options_are_named(make, named):
    with pytest.raises(MsamError, match=named):
        make()


def test_tables_know_the_headline_of_every_task(task):
    headline = HEADLINES[task.headline]
    assert headline.higher_is_better == task.higher_is_better
    assert task.percent == (headline.factor == 100)


def test_the_reported_epoch_and_the_best_row_are_those_of_the_smallest_error():
    rows = []
    for label, errors in {"joint": (0.9, 0.5, 0.7), "sam": (0.8, 0.6, 0.9)}.items():
        for seed in (0, 1):
            for epoch, error in enumerate(errors):
                same = {"dataset": "d", "fusion": "late", "method": label, "label": label}
                same |= {"seed": seed, "preset": "", "run": f"{label}{seed}", "step": 0}
                for split in ("val", "test"):
                    for m in ("fused", "x1"):
                        value = error + 0.01 * seed
                        row = {"epoch": epoch, "split": split, "modality": m, "metric": "mae"}
                        rows.append(same | row | {"value": value})
    frame = pd.DataFrame(rows)
    assert set(reported_epoch(frame)["epoch"]) == {1}
    first = next(r for r in results_table(frame).rows if r.name == "Joint training")
    assert [c.rank for c in first.cells] == [1, 1]
    assert first.cells[0].mean == pytest.approx(0.505)
    assert first.cells[0].text.startswith("0.505 ± ")  # the label's unit, not times 100
