"""Curves under disturbance, small multiples, one epoch, differences to joint training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from msam_lib.errors import MsamError
from msam_lib.plots.browser import epoch_view, gains, logged_curves, two_modalities
from msam_lib.plots.noise import robustness_curves


def runs():
    rows = [(e, m, v + e / 10) for e in (0, 1, 2) for m, v in (("x1", 0.5), ("fused", 0.7))]
    return pd.DataFrame(rows, columns=["epoch", "modality", "value"])


def test_a_panel_per_disturbed_modality_and_a_line_per_method():
    curves = {"a missing": {"joint": [0.9, 0.5], "sam": [0.8, 0.6]}, "b": {"joint": [0.9, 0.1]}}
    figure = robustness_curves(curves, [0, 1], xlabel="rate")
    first, second = figure.axes
    assert [list(x.get_ydata()) for x in first.lines] == [[90, 50], [80, 60]]
    assert first.get_title() == "a missing" and len(second.lines) == 1
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["joint", "sam"]


def test_small_multiples_are_grouped_by_what_a_method_changes():
    kinds = {"a": "loss", "b": "data", "c": "loss"}
    figure = two_modalities(
        dict.fromkeys("abc", runs()), kinds, dict(zip("abc", "ABC", strict=True))
    )
    titles = [ax.get_title() for ax in figure.axes if ax.get_visible()]
    assert titles == ["A\n(loss)", "C\n(loss)", "B\n(data)"]
    assert list(figure.axes[0].lines[0].get_ydata()) == pytest.approx([50, 60, 70])


def test_one_epoch_is_marked_beside_its_contributions():
    points = runs().rename(columns={"value": "mean"}).assign(mean=lambda f: 100 * f["mean"])
    figure = epoch_view(points, points[points["modality"] == "x1"], 1, "T")
    left, right = figure.axes
    marked = [x for x in left.lines if len(x.get_xdata()) == 1]
    assert [float(x.get_ydata()[0]) for x in marked] == pytest.approx([60, 80])
    assert right.patches[0].get_width() == pytest.approx(60)


def test_differences_show_the_fused_and_the_weakest_modality():
    rows = pd.DataFrame(
        {
            "comparison": ["toy, late"] * 3,
            "modality": ["a", "b", "fused"],
            "mean": [1.0, 5.0, 2.0],
            "low": [0.0, 4.0, np.nan],
            "high": [2.0, 6.0, np.nan],
            "accuracy": [60.0, 30.0, 80.0],
        }
    )
    figure = gains(rows)
    assert figure.axes[0].get_yticklabels()[0].get_text() == "toy, late (b)"
    drawn = [float(c[0].get_xdata()[0]) for c in figure.axes[0].containers]
    assert drawn == [5.0, 2.0]
    with pytest.raises(MsamError, match="beside joint training"):
        gains(rows.iloc[:0])


def test_what_was_logged_is_drawn_seed_by_seed_and_as_a_mean():
    rows = [
        ("masam", s, e, "step", m, "accord", s + e + k)
        for s in (0, 1)
        for e in (1, 2)
        for k, m in enumerate(("a", "b"))
    ]
    columns = ["label", "seed", "epoch", "split", "modality", "metric", "value"]
    frame = pd.DataFrame(rows, columns=columns)
    figure = logged_curves(frame, "accord", {"masam": "MASAM"}, ylabel="γ")
    assert list(figure.axes[0].lines[2].get_ydata()) == [1.5, 2.5]
    with pytest.raises(MsamError, match="No 'speed' among what was logged: accord"):
        logged_curves(frame, "speed", {"masam": "MASAM"}, ylabel="v")
