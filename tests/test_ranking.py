"""Areas under curves of all labels at once against scikit-learn, label by label."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from msam_lib.tasks import Multilabel
from msam_lib.tasks._ranking import Ranking

N, L = 60, 6


def made(ties: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and truths (N, L); labels get rarer, the last one has a single positive."""
    rng = np.random.default_rng(seed)
    shares = np.linspace(0.8, 0.05, L)
    truth = (rng.random((N, L)) < shares).astype(float)
    truth[0], truth[1] = 1, 0
    truth[1:, -1] = 0
    scores = rng.normal(size=(N, L)) + truth
    if ties == "some":
        scores = scores.round()
    elif ties == "blocks":
        scores = (scores > 0).astype(float)
    elif ties == "all":
        scores = np.zeros_like(scores)
    return torch.from_numpy(scores), torch.from_numpy(truth)


@pytest.mark.parametrize("ties", ["none", "some", "blocks", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_areas_are_those_of_scikit_learn(ties, seed):
    scores, truth = made(ties, seed)
    ranking = Ranking(scores, truth)
    for found, reference in (
        (ranking.average_precision(), average_precision_score),
        (ranking.roc_area(), roc_auc_score),
    ):
        expected = [reference(truth[:, k].numpy(), scores[:, k].numpy()) for k in range(L)]
        assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_order_of_samples_does_not_matter():
    scores, truth = made("some", 0)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    for area in (Ranking.average_precision, Ranking.roc_area):
        torch.testing.assert_close(
            area(Ranking(scores, truth)), area(Ranking(scores[order], truth[order]))
        )


def test_constant_scores_give_prevalence_and_one_half():
    scores, truth = made("all", 0)
    ranking = Ranking(scores, truth)
    torch.testing.assert_close(ranking.average_precision(), truth.mean(0))
    torch.testing.assert_close(ranking.roc_area(), torch.full((L,), 0.5, dtype=torch.float64))


def test_labels_without_positives_or_negatives_or_with_nan_have_no_area():
    scores, truth = made("none", 0)
    truth[:, 0], truth[:, 1], scores[3, 2] = 0, 1, torch.nan
    ranking = Ranking(scores, truth)
    for area in (ranking.average_precision(), ranking.roc_area()):
        assert area.isnan().tolist() == [True, True, True, False, False, False]
    none = Multilabel(2).metrics(torch.randn(5, 2), torch.zeros(5, 2))
    assert np.isnan(none["auprc"]) and np.isnan(none["auroc"]) and none["labels_counted"] == 0


def test_the_task_takes_the_mean_over_labels_that_have_both():
    scores, truth = made("some", 1)
    truth[:, 2] = 0
    kept = [0, 1, 3, 4, 5]
    task, probability = Multilabel(L), scores.sigmoid()
    found = task.metrics(scores, truth)
    pair = truth[:, kept].numpy(), probability[:, kept].numpy()
    assert found["auprc"] == pytest.approx(average_precision_score(*pair, average="macro"))
    assert found["auroc"] == pytest.approx(roc_auc_score(*pair, average="macro"))
    assert (found["labels_counted"], found["labels"]) == (5, 6)
    assert task.headline_of(scores, truth) == found["auprc"]
