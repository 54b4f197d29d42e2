"""The same with another arithmetic: what it adds to a gain, by hand; and into every interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from msam_lib.labels import Comparison
from msam_lib.results.elsewhere import between, both_ways, verdicts
from msam_lib.results.gains import gains
from msam_lib.results.luck import NORMAL
from tests.test_gains import TOY, runs, search


def rows(**methods):
    """Frozen rows of one epoch: {label: fused accuracies by seed}; the modality is 0.1 lower."""
    same = {"dataset": "toy", "fusion": "late", "preset": "teach", "epoch": 1, "step": 1}
    return pd.DataFrame(
        [
            same
            | {"method": k, "label": k, "seed": s, "run": f"{k}-{s}", "split": split}
            | {"modality": m, "metric": "accuracy", "value": v - shift}
            for k, several in methods.items()
            for s, v in enumerate(several)
            for split in ("val", "test")
            for m, shift in (("fused", 0.0), ("x1", 0.1))
        ]
    )


HERE = rows(joint=[0.5, 0.5, 0.5], sam=[0.6, 0.62, 0.64], msam=[0.5, 0.52, 0.48])
THERE = rows(joint=[0.5, 0.5, 0.5], sam=[0.4, 0.42, 0.44], masam=[0.9, 0.9, 0.9])


def test_what_the_arithmetic_adds_by_hand():
    table = both_ways(HERE, THERE, Comparison("toy", "late"))
    assert table["label"].tolist() == ["sam"] and table["n"].tolist() == [3]
    assert table["fused_here"][0] == pytest.approx(12) and table["fused_there"][0] == pytest.approx(
        -8
    )
    # both gains have the standard error 2 / sqrt(3) points, and are 20 points apart
    assert table["fused_here_se"][0] == pytest.approx(2 / np.sqrt(3))
    assert between(table) == pytest.approx(np.sqrt((20**2 - 2 * 4 / 3) / 2))
    assert between(both_ways(HERE, HERE, TOY)) == 0  # less apart than chance: nothing is added


def test_verdicts_that_another_arithmetic_turns():
    table = both_ways(HERE, THERE, TOY)
    assert verdicts(table).loc["SAM"].tolist() == [1, -1]
    assert verdicts(both_ways(HERE, HERE, TOY)).loc["M-SAM"].tolist() == [0, 0]


def test_the_intervals_of_gains_hold_what_it_adds():
    same = [(0.1, "", (0.6,) * 3, (0.7,) * 3), (0.2, "", (0.5,) * 3, (0.6,) * 3)]
    found = search(joint=same, unimodal=same, sam=same)
    other = runs()
    at = (other["label"] == "sam") & (other["metric"] == "accuracy")
    other.loc[at, "value"] -= 0.3
    tau = between(both_ways(runs(), other, TOY))
    assert tau > 10
    plain = gains(runs(), found, TOY).set_index("label")
    wide = gains(runs(), found, TOY, other).set_index("label")
    assert wide["fused"].equals(plain["fused"])
    expected = np.hypot(plain["fused_half"], NORMAL * tau)
    assert wide["fused_half"].to_numpy() == pytest.approx(expected.to_numpy())
