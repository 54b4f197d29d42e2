"""signs on the real files: who is in which split, how hard each modality is."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier

from msam_lib.data import load_dataset, signs
from msam_lib.data._download import read_members

real = pytest.mark.skipif("MSAM_DATA" not in os.environ, reason="needs MSAM_DATA, a data folder")
KEPT = {"audio": 100, "visual": 4, "sign": 8}  # components


def people() -> list[set[str]]:
    """The splits in which each person is: a person's photographs are numbered in a row, 0 to 9."""
    folders: dict[int, list[int]] = {d: [] for d in range(10)}
    for name in read_members(signs.SOURCE):
        if found := re.search(r"(\d)/IMG_(\d+)\.JPG$", name):
            folders[int(found[1])].append(int(found[2]))
    rows = []
    for digit, numbers in folders.items():
        for left, number in zip(range(len(numbers), 0, -1), sorted(numbers), strict=True):
            part = "test" if left <= signs.TEST else "val"
            rows.append((number, digit, part if left <= signs.TEST + signs.VAL else "train"))
    out: list[set[str]] = []
    last = 10
    for _, digit, part in sorted(rows):
        if digit <= last:
            out.append(set())
        out[-1].add(part)
        last = digit
    return out


@real
def test_nobody_is_in_training_and_test():
    found = people()
    assert len(found) == pytest.approx(218, abs=3)  # the README says 218
    assert not [p for p in found if {"train", "test"} <= p]
    assert len([p for p in found if len(p) > 1]) == 2  # the borders with the validation split


@real
def test_each_modality_is_as_hard_as_it_should_be(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path))
    data = load_dataset("signs", n_train=6000, n_val=200, n_test=2000)
    assert {m: s.shape for m, s in data.modalities.items()} == {
        "audio": (1, 40, 49),
        "visual": (1, 28, 28),
        "sign": (1, 32, 32),
    }
    x: dict[str, list[np.ndarray]] = {}
    for m, k in KEPT.items():
        a, b = (p.inputs[m].flatten(1).numpy() for p in (data.train, data.test))
        pca = PCA(k, whiten=True, random_state=0).fit(a)
        x[m] = [pca.transform(a), pca.transform(b)]
    expected = {("audio",): 0.43, ("visual",): 0.66, ("sign",): 0.54, tuple(KEPT): 0.82}
    for names, accuracy in expected.items():
        train, test = (np.hstack([x[m][i] for m in names]) for i in (0, 1))
        model = MLPClassifier((128,), alpha=1, early_stopping=True, max_iter=200, random_state=0)
        model.fit(train, data.train.targets)
        assert model.score(test, data.test.targets) == pytest.approx(accuracy, abs=0.06), names
