"""isl on the real files: every recording once, training statistics, how hard each sensor is."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from msam_lib.data import load_dataset

real = pytest.mark.skipif("MSAM_DATA" not in os.environ, reason="needs MSAM_DATA, a data folder")
EXPECTED = {"emg": 0.93, "orientation": 0.84, "acceleration": 0.79, "gyroscope": 0.77}


@real
def test_the_real_files():
    data = load_dataset("isl")
    parts = {"train": data.train, "val": data.val, "test": data.test}
    for part, count in {"train": 16, "val": 4, "test": 10}.items():
        assert torch.bincount(parts[part].targets).tolist() == [count] * 26
    flat = {
        p: np.hstack([d.inputs[m].flatten(1).numpy() for m in EXPECTED]) for p, d in parts.items()
    }
    assert len(np.unique(np.vstack(list(flat.values())), axis=0)) == 780  # nothing twice
    assert np.abs(flat["train"].mean(0)).max() < 0.05  # clipping moves it a little from 0
    assert np.abs(flat["test"].mean(0)).max() > 0.05
    for m, accuracy in (EXPECTED | {"all": 0.96}).items():
        x = {p: flat[p] if m == "all" else d.inputs[m].flatten(1).numpy() for p, d in parts.items()}
        model = RandomForestClassifier(300, random_state=0).fit(x["train"], data.train.targets)
        assert model.score(x["test"], data.test.targets) == pytest.approx(accuracy, abs=0.06), m
