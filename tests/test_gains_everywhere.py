"""The picture of gains in every setting, gain against cost, and what names a setting."""

from __future__ import annotations

import pandas as pd
import pytest

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.errors import MsamError
from msam_lib.experiments.cases import setting_experiment
from msam_lib.figures import gain_cost, settings
from msam_lib.figures.gains_summary import SHOWN, everywhere_title
from msam_lib.labels import Comparison, display_names, setting_name
from msam_lib.plots.gains import APART, gains_alt, gains_by_setting
from msam_lib.results.frozen import load
from msam_lib.results.gains import gains

NAMES = {"a": "Method A", "b": "Method B"}


def tables():
    """Two settings: A gains clearly in the first; B was not run in the second."""
    columns = ["fused", "fused_half", "weakest", "weakest_half", "clear_fused", "clear_weakest"]
    first = pd.DataFrame([[3.0, 1.0, 9.0, 2.0, True, True], [0.5, 1.0, -4.0, 1.0, False, True]],
                         index=["a", "b"], columns=columns)  # fmt: skip
    second = pd.DataFrame([[-1.0, 2.0, 1.0, 3.0, False, False]], index=["a"], columns=columns)
    return {"one": first, "two": second}


def test_every_gain_stands_in_its_row_filled_where_it_is_clear():
    figure = gains_by_setting(tables(), ["a", "b"], NAMES, title="T")
    left, right = figure.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["one", "two"]
    at = {}
    for ax in (left, right):
        for line in ax.lines:
            if line.get_marker() not in ("None", "", None):
                (x,), (y,) = line.get_xdata(), line.get_ydata()
                at[ax is left, round(float(y), 3)] = x, line.get_markerfacecolor() != "white"
    up, down = round(-APART / 2, 3), round(APART / 2, 3)
    second = round(1 + up, 3)
    assert at == {
        (True, up): (3.0, True), (True, down): (0.5, False), (True, second): (-1.0, False),
        (False, up): (9.0, True), (False, down): (-4.0, True), (False, second): (1.0, False),
    }  # fmt: skip
    said = gains_alt(tables(), ["a", "b"], NAMES)
    assert "one: Method A +3.0 (weakest +9.0), Method B +0.5" in said
    assert "two: Method A -1.0 (weakest +1.0)." in said


def test_the_title_counts_clear_gains_not_clear_losses():
    rows = pd.DataFrame({"fused": 2.0, "clear_fused": True}, index=[*SHOWN])
    loss = rows.assign(fused=-2.0)
    unclear = rows.assign(clear_fused=False)
    title = everywhere_title({"a": rows, "b": loss, "c": unclear, "d": rows.loc[["masam"]]})
    assert title.startswith("Settings, of 4,")
    assert "Joint + unimodal losses 1, MASAM 2, SAM 1, M-SAM 1" in title


@pytest.mark.parametrize("where", settings.SEARCHED)
def test_every_setting_is_one_that_can_be_run_and_that_was(where):
    experiment = setting_experiment(where.dataset, where.fusion)
    assert experiment.fusion == where.fusion
    frame = load(f"methods_{where.dataset}")
    rows = frame[frame["fusion"] == where.fusion]
    joint = rows[rows["label"] == "joint"]
    assert joint["seed"].nunique() == 10
    assert {"sam", "msam", "joint_unimodal"} <= set(rows["label"])


def test_settings_have_names_of_their_own():
    names = [where.name for where in settings.SEARCHED]
    assert len(set(names)) == len(names)
    assert setting_name("toy@n_train=50,epochs=3") == "toy"
    assert setting_name("toy@snr_db=-6,absent=mean") == "toy (-6 dB, absent=mean)"
    with pytest.raises(MsamError, match="OPTION=VALUE"):
        setting_name("toy@nonsense")


def test_the_points_of_the_picture_of_costs_are_the_gains():
    frames = [load(n) for n in gain_cost.ITEM.sources]
    points = gain_cost.points(*frames)
    where = Comparison(DEFAULT_DATASET, "late")
    own = frames[1][frames[1]["fusion"] == "late"]
    table = gains(own, frames[2], where).set_index("label")
    late = points[points["fusion"] == "late"].set_index("label")
    assert late.loc["masam", "y"] == table.loc["masam", "fused"]
    assert late.loc["joint", ["x", "y"]].tolist() == [1.0, 0.0]
    assert 1.5 < late.loc["masam", "x"] < 2.5  # two passes
    assert set(display_names(late.index).values()) == set(late["name"])
