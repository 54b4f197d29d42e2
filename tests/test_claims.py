"""The ledger of claims: verdicts by hand, each test on made-up results, and the committed file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from msam_lib.figures.claims import Claim, ledger
from msam_lib.figures.claims_list import CLAIMS, SOURCES
from msam_lib.figures.registry import ITEMS
from msam_lib.results import claims as test
from msam_lib.results.claims import HOLDS, IN_PART, NOT, UNTESTED, effect, verdict
from msam_lib.results.comparison import WEAKEST
from msam_lib.results.frozen import load
from tests import fabricated

ROOT = Path(__file__).resolve().parent.parent
UP, DOWN = effect("up", [1.0, 1.1, 0.9, 1.0]), effect("down", [-1.0, -1.1, -0.9, -1.0])
FLAT = effect("flat", [1.0, -1.0, 0.5, -0.6])
WEAK = effect("weak", [1.0, 2.0, 1.0, 3.0])  # p = 0.03


def test_verdicts_by_hand():
    assert verdict([]) == UNTESTED and verdict([UP, WEAK]) == HOLDS
    assert verdict([UP, FLAT]) == verdict([UP, DOWN]) == IN_PART
    assert verdict([FLAT]) == verdict([DOWN]) == NOT
    # One small p value among many is what chance gives.
    assert 0.02 < WEAK.p < 0.05 and WEAK.low > 0
    assert verdict([WEAK, FLAT, FLAT, FLAT]) == NOT
    assert test.clear([UP, DOWN, FLAT]) == (1, 1)
    # One seed shows nothing, whatever its difference.
    lonely = effect("one", [5.0])
    assert verdict([lonely]) == NOT and str(lonely) == "one +5.0 points (n = 1)"


def summary():
    """Two comparisons of joint training, SAM and M-SAM; SAM's first seed gains 4 points late."""
    late = fabricated.results(labels=("joint", "sam", "msam"), seeds=range(4))
    early = fabricated.results(labels=("joint", "sam"), fusion="maxout", seeds=range(4))
    frame = pd.concat([late, early])
    more = (frame["label"] == "sam") & (frame["seed"] == 0) & (frame["fusion"] == "late")
    return frame.assign(value=frame["value"] + 0.04 * (more & (frame["metric"] == "accuracy")))


def test_differences_by_hand():
    late, early = test.better(summary(), "sam", "joint")
    assert (late.mean, late.n) == (pytest.approx(2.0), 4)  # 5, 1, 1, 1 points
    assert early.mean == pytest.approx(1.0) and "early" in early.what
    assert [e.mean for e in test.better(summary(), "sam", "joint", fusions=("maxout",))] == (
        pytest.approx([1.0])
    )
    assert len(test.better(summary(), "msam", "joint")) == 1  # only late fusion has it
    assert test.better(summary(), "msam", "joint", what=WEAKEST)[0].mean == pytest.approx(2.0)


def test_the_dominant_share_by_hand():
    frame = summary()
    # Shares of 1/3 and 2/3; SAM's visual share is 6 points larger late.
    more = (frame["metric"] == "contribution") & (frame["modality"] == "visual")
    more &= (frame["label"] == "sam") & (frame["fusion"] == "late")
    late, early = test.dominance_raised(frame.assign(value=frame["value"] + 0.06 * more), "sam",
                                        "joint")  # fmt: skip
    assert late.mean == pytest.approx(6.0) and "visual" in late.what
    assert early.mean == pytest.approx(0.0)


def test_roughness_by_hand():
    frame = summary()
    # Fused accuracies at epochs 0 to 3: only the changes within epochs 2 and 3 count.
    rough = (frame["label"] == "joint") & (frame["epoch"] == 3) & (frame["fusion"] == "late")
    long = pd.concat([frame.assign(epoch=frame["epoch"] + 4 * k) for k in range(2)])
    wild = long.assign(value=long["value"] + 0.3 * (long["epoch"] % 2) * (long["label"] == "joint"))
    (late,) = test.smoother(wild, "msam", "joint")
    accuracy = np.array([0.3, 0.5, 0.7, 0.6])
    steps = [np.diff(accuracy + 0.3 * (np.arange(4) % 2) * on).std(ddof=1) for on in (1, 0)]
    assert late.mean == pytest.approx(100 * (steps[0] - steps[1]))
    assert late.low > 0 and not rough.empty


def test_the_ledger_lists_few_and_counts_many():
    many = [UP, DOWN, FLAT, FLAT]
    claims = [
        Claim("A", "paper", "how", lambda f: [UP], "table_x", "08_tables", "A note."),
        Claim("B", "paper", "how", lambda f: many, "picture", "08_tables"),
        Claim("C", "paper", "how", None, "", ""),
        Claim("D", "paper", "how", lambda f: [UP], "", "", most=IN_PART),
    ]
    found = ledger(claims, {"methods": summary()})
    assert [e.verdict for e in found.entries] == [HOLDS, IN_PART, UNTESTED, IN_PART]
    text = found.to("md")
    assert "up +1.0 ± 0.1 points (n = 4). A note." in text and "(table_x.md)" in text
    assert "4 differences from -1.0 to +1.0 points: 1 clearly above 0, 1 clearly below" in text
    assert text.count("- flat") == 2 and "(picture.png)" in text
    assert "2 holds in part" in found.alt and found.to("html").count("<tr>") == 5


def test_the_committed_ledger_is_that_of_the_frozen_results():
    frames = {name: load(name, ROOT / "figures" / "data") for name in SOURCES}
    found = ITEMS["claims"].build(frames)
    assert (ROOT / "figures" / "claims.md").read_text("utf-8") == found.to("md")
    rows = list(csv.DictReader((ROOT / "figures" / "claims.csv").open(encoding="utf-8")))
    assert [r["claim"] for r in rows] == [c.words for c in CLAIMS] and len(CLAIMS) >= 18
    for claim in CLAIMS:
        assert not claim.shown or claim.shown in ITEMS
        assert (ROOT / "notebooks" / f"{claim.notebook}.ipynb").exists()
