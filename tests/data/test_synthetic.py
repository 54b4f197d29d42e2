"""The generative model against its closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from msam_lib.data import load_dataset
from msam_lib.data._latent import bayes_error, prevalences
from msam_lib.data.synthetic import bayes_accuracy
from msam_lib.errors import MsamError
from msam_lib.tasks import Regression

BIG = {"n_train": 8000, "n_val": 10, "n_test": 8000}


def accuracy(data, names, model=None):
    x = [torch.cat([p.inputs[m] for m in names], dim=1).numpy() for p in (data.train, data.test)]
    model = model or LinearDiscriminantAnalysis()  # the best classifier for equal covariances
    return model.fit(x[0], data.train.targets).score(x[1], data.test.targets)


@pytest.mark.parametrize("snr", [(2.0, 1.0), (0.5, 3.0), (0.0, 1.5)])
def test_two_classes_reach_the_bayes_accuracy(snr):
    data = load_dataset("synthetic", snr=snr, n_classes=2, dim=4, **BIG)
    for names, values in [(["x1"], snr[:1]), (["x2"], snr[1:]), (["x1", "x2"], snr)]:
        assert accuracy(data, names) == pytest.approx(bayes_accuracy(values), abs=0.015)


def test_without_redundancy_each_modality_knows_its_share():
    data = load_dataset("synthetic", snr=9.0, redundancy=0.0, n_classes=2, dim=4, **BIG)
    assert accuracy(data, ["x1"]) == pytest.approx(0.75, abs=0.02)  # half shown, half guessed
    assert accuracy(data, ["x1", "x2"]) > 0.98


def test_synergy_shows_in_the_combination_only():
    data = load_dataset("synthetic", snr=9.0, synergy=1.0, n_classes=2, dim=4, **BIG)
    assert accuracy(data, ["x1"]) == pytest.approx(0.5, abs=0.02)
    neighbours = KNeighborsClassifier(15)
    assert accuracy(data, ["x1", "x2"], neighbours) > 0.98


def test_any_number_of_modalities_and_any_choice_of_them():
    data = load_dataset("synthetic", n_modalities=5, modalities=["x4", "x2"])
    assert data.train.modalities == ("x4", "x2")
    whole = load_dataset("synthetic", n_modalities=5)
    assert torch.equal(whole.train.inputs["x4"], data.train.inputs["x4"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 4}, "dim=4"),
        ({"n_classes": 1}, "n_classes=1"),
        ({"redundancy": 1.5}, "redundancy=1.5"),
        ({"synergy": -0.1}, "synergy=-0.1"),
        ({"snr": (-1.0,)}, "snr=.-1.0,.: give a number, 0 or larger"),
        ({"n_modalities": 0}, "n_modalities=0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        load_dataset("synthetic", **options)


@pytest.mark.parametrize("snr", [(2.0, 1.0), (0.5, 3.0)])
def test_regression_reaches_the_bayes_error(snr):
    data = load_dataset("synthetic", task="regression", snr=snr, dim=4, **BIG)
    assert data.task == Regression(scale=math.sqrt(2 / math.pi))
    for names, values in [(["x1"], snr[:1]), (["x2"], snr[1:]), (["x1", "x2"], snr)]:
        x = [torch.cat([p.inputs[m] for m in names], 1).numpy() for p in (data.train, data.test)]
        guess = LinearRegression().fit(x[0], data.train.targets).predict(x[1])
        error = float((torch.as_tensor(guess) - data.test.targets).abs().mean())
        assert error == pytest.approx(bayes_error(values), rel=0.03)


def test_labels_have_their_prevalence_and_follow_from_both_modalities():
    data = load_dataset("synthetic", task="multilabel", snr=3.0, n_classes=5, dim=8, **BIG)
    shares = prevalences(5)
    assert (shares[0], shares[-1]) == (pytest.approx(0.4), pytest.approx(0.03))
    assert data.train.targets.mean(0).tolist() == pytest.approx(shares, abs=0.015)
    assert data.task.prevalence == pytest.approx(shares)
    found = []
    for names in (["x1"], ["x1", "x2"]):
        x = [torch.cat([p.inputs[m] for m in names], 1).numpy() for p in (data.train, data.test)]
        rule = LogisticRegression().fit(x[0], data.train.targets[:, 0])
        found.append(rule.score(x[1], data.test.targets[:, 0]))
    assert 0.85 < found[0] < found[1] - 0.01


def test_redundancy_belongs_to_classification():
    with pytest.raises(MsamError, match=r"redundancy=0\.5.*task='classification' only"):
        load_dataset("synthetic", task="regression", redundancy=0.5)
    with pytest.raises(MsamError, match="rank"):
        load_dataset("synthetic", task="rank")
    with pytest.raises(MsamError, match="label_noise"):
        load_dataset("synthetic", task="regression", label_noise=0.1)
