"""The dial: gains at several levels of noise; and one learning rate against a search."""

from __future__ import annotations

import pandas as pd
import pytest

from msam_lib.figures.dial import before_after, before_after_title, dial_title
from msam_lib.figures.label_noise import title
from msam_lib.plots.dial import before_and_after, before_and_after_alt, dial_alt, dial_points
from msam_lib.results.dial import dial, dominance
from tests.test_gains import runs, search

SAME = [(0.1, "", (0.6,) * 3, (0.7,) * 3), (0.2, "", (0.5,) * 3, (0.6,) * 3)]


def found():
    """Gains of SAM at -12 (by default) and at 0 dB, where SAM gains 10 points more."""
    near, name = runs(), "toy@snr_db=0"
    early = near.assign(fusion="maxout", run=near["run"] + "-early")  # does not count
    early.loc[early["metric"] == "contribution", "value"] = 0.5
    near = pd.concat([near, early], ignore_index=True)
    far = near.assign(dataset=name, run=near["run"] + "@0")
    more = (far["label"] == "sam") & (far["metric"] == "accuracy")
    far.loc[more, "value"] += 0.1
    trials = search(joint=SAME, unimodal=SAME, sam=SAME)
    both = pd.concat([trials, trials.assign(dataset=name)], ignore_index=True)
    return dial({name: far, "toy": near}, both, ["sam"], option="snr_db", usual=-12.0)


def test_levels_rise_and_hold_the_gains_there():
    table = found()
    assert table["level"].tolist() == [-12, 0] and table["label"].tolist() == ["sam", "sam"]
    assert table["fused"].to_numpy() == pytest.approx([10 / 3, 10 / 3 + 10])
    # shares of 1/3 and 2/3 by construction
    assert set(table["dominant"]) == {"visual"}
    assert table["share"].to_numpy() == pytest.approx(200 / 3)
    assert dominance(runs(), "sam").to_dict() == pytest.approx(
        {"audio": 100 / 3, "visual": 200 / 3}
    )


def test_the_title_says_where_gains_are_clear():
    table = found()
    table["fused_p"], table["fused_half"] = [0.2, 0.01], [5.0, 2.0]
    assert dial_title(table) == "Clear gains at 0 dB: at most +13.3 points (SAM, 0 dB)"
    table["fused_p"] = 0.2
    assert dial_title(table).startswith("At no level")
    assert "+13.3" in dial_alt(table, "speech at {:g} dB")


def test_the_title_of_wrong_labels_says_which_part_helps_where():
    rows = {"label": ["joint_unimodal", "sam"] * 2, "name": ["Losses", "SAM"] * 2}
    table = pd.DataFrame(rows | {"level": [0, 0, 0.2, 0.2], "fused": [5.0, -3.0, 0.1, 4.0]})
    table = table.assign(fused_half=1.0, fused_p=[0.01, 0.01, 0.9, 0.01])
    assert title(table).endswith("\nLosses at 0%; SAM at 20%")  # a clear loss is no gain
    assert title(table.assign(fused_p=0.5)).endswith("\nLosses nowhere; SAM nowhere")


def test_methods_keep_the_order_that_was_asked_for():
    both = pd.concat([runs(), runs().assign(dataset="toy@snr_db=0")])
    trials = search(joint=SAME, unimodal=SAME, sam=SAME)
    trials = pd.concat([trials, trials.assign(dataset="toy@snr_db=0")], ignore_index=True)
    frames = dict(tuple(both.groupby("dataset")))
    for labels in (["sam", "unimodal"], ["unimodal", "sam"]):
        table = dial(frames, trials, labels, option="snr_db", usual=-12.0)
        assert table["label"].tolist() == labels * 2


def test_the_dial_shows_every_method_at_every_level():
    figure = dial_points(found(), title="", xlabel="")
    left = figure.axes[0]
    assert [t.get_text().split("\n")[0] for t in left.get_xticklabels()] == ["-12 dB", "0 dB"]
    (points,) = (line for line in left.lines if line.get_marker() == "s")
    assert list(points.get_ydata()) == pytest.approx([10 / 3, 40 / 3])


def test_before_and_after_of_each_fusion():
    tuned = runs().assign(dataset="avmnist_mini")
    untuned = tuned.copy()
    lower = (untuned["label"] == "joint") & (untuned["metric"] == "accuracy")
    untuned.loc[lower, "value"] -= 0.07
    panels = before_after(tuned, untuned)
    assert list(panels) == ["late fusion"]
    before, after = panels["late fusion"]
    assert list(before.index) == list(after.index) == ["Joint training", "SAM"]
    assert (after["mean"] - before["mean"]).to_list() == pytest.approx([7, 0])
    assert before_after_title(panels) == "Tuning lifts joint training by 7.0 (late) points"
    assert "at one learning rate SAM" in before_and_after_alt(panels)
    figure = before_and_after(panels, title="x")
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["SAM", "Joint training"]
    ends = {tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2}
    joint = float(before["mean"]["Joint training"]), float(after["mean"]["Joint training"])
    assert any(e == pytest.approx(joint) for e in ends)
