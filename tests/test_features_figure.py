"""The picture of what M-SAM's shares depend on."""

from __future__ import annotations

import pandas as pd
import pytest

from msam_lib.errors import MsamError
from msam_lib.plots.features import SPAN, feature_gap, feature_gap_alt, smoothed


def rows(fusion: str, early: float, late: float) -> pd.DataFrame:
    """Two seeds of 40 steps: `early` in the first twenty, `late` afterwards."""
    return pd.DataFrame(
        [
            (fusion, seed, step, metric, factor * (early if step < 20 else late))
            for metric, factor in (("share_gap", 0.5), ("other_dominant", 1.0))
            for seed in (0, 1)
            for step in range(40)
        ],
        columns=["fusion", "seed", "step", "metric", "value"],
    )


def test_steps_are_averaged_over_ten():
    one = rows("late", 0.4, 0.0)
    curve = smoothed(one[one["metric"] == "share_gap"])[0]
    assert curve[19] == pytest.approx(20) and curve[39] == 0
    assert curve[20 + SPAN // 2 - 1] == pytest.approx(10)  # half of the span lies before


def test_a_panel_per_fusion_and_the_numbers_in_words():
    frame = pd.concat([rows("late", 0.4, 0.1), rows("maxout", 0.2, 0.0)])
    figure = feature_gap(frame)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == ["late fusion", "early fusion (MaxOut)"]
    assert all(len(ax.lines) == 2 for ax in shown)
    text = feature_gap_alt(frame)
    assert "late fusion, the first 20 steps: 20 points apart" in text
    assert "modality in 40 % of the steps" in text and "the last half: 0 points" in text


def test_nothing_to_draw():
    with pytest.raises(MsamError, match="--freeze"):
        feature_gap(rows("late", 1, 1).iloc[:0])
