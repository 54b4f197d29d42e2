"""Sentences computed from the data: which methods end above others, whose loss rises least."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from msam_lib.errors import MsamError
from msam_lib.figures.registry import ITEMS
from msam_lib.plots.overlay import overlaid_alt, overlaid_curves
from msam_lib.results.findings import ending, final_gains, flattest
from msam_lib.results.rows import metric_rows
from tests import fabricated

NAMES = {"joint": "Joint training", "sam": "SAM", "msam": "M-SAM", "agm": "AGM"}


def curves(**last: list[float]) -> pd.DataFrame:
    """Rows whose values at the last epoch are given by label, a value per seed."""
    rows = [
        {"label": k, "seed": s, "epoch": e, "value": v if e == 2 else 0.9}
        for k, values in last.items()
        for s, v in enumerate(values)
        for e in (0, 2)
    ]
    return pd.DataFrame(rows)


def test_methods_are_above_or_below_where_the_paired_interval_excludes_zero():
    rows = curves(
        joint=[0.5, 0.6, 0.7], sam=[0.51, 0.62, 0.71], msam=[0.45, 0.56, 0.65], agm=[0.4, 0.7, 0.7]
    )
    gains = final_gains(rows)
    assert gains.loc["sam", "mean"] == pytest.approx(0.04 / 3)
    assert set(gains.index) == {"sam", "msam", "agm"} and (gains["n"] == 3).all()
    said = ending(rows, NAMES)
    assert said == "M-SAM below joint training at the end"  # SAM: 0.013 ± 0.014; AGM: 0 ± 0.25
    rows.loc[(rows["label"] == "sam") & (rows["epoch"] == 2), "value"] += 0.1
    assert ending(rows, NAMES) == "SAM above, M-SAM below joint training at the end"
    few = {k: NAMES[k] for k in ("joint", "agm")}
    assert ending(rows, few) == "no method ends clearly above or below joint training"


def test_pairs_are_formed_by_seed_whatever_the_order_of_the_rows():
    rows = curves(joint=[0.1, 0.5, 0.9], sam=[0.2, 0.6, 1.0])
    assert ending(rows, NAMES) == "SAM above joint training at the end"
    assert ending(rows.sample(frac=1, random_state=0), NAMES).startswith("SAM above")


def test_nothing_is_said_without_the_reference():
    assert ending(curves(sam=[0.5, 0.6]), NAMES) == ""


def test_one_seed_decides_nothing():
    rows = curves(joint=[0.5], sam=[0.9])
    assert ending(rows, NAMES) == "no method ends clearly above or below joint training"
    assert flattest(pd.DataFrame({"A": [1.0], "B": [2.0]})) == (
        "the loss of A rises least, on one seed"
    )


def test_the_flattest_needs_a_clear_difference():
    noise = np.array([-0.3, 0.0, 0.3])
    steep = pd.DataFrame({"A": 2 + noise, "B": 1 + noise, "C": 1.1 + noise[::-1]})
    assert flattest(steep[["A", "B"]]) == "the loss of B rises clearly least"
    assert flattest(steep) == "the loss of A rises clearly more than that of B"
    assert flattest(steep[["B", "C"]]) == "no clear difference between the methods"


# --- the overlaid curves --------------------------------------------------------------------------


def test_curves_are_overlaid_by_modality_and_named_at_their_ends():
    frame = fabricated.results(modalities=("audio", "visual", "text"))
    labels = ["joint", "sam:rho=0.1", "msam:rho=0.1"]
    figure = overlaid_curves(frame, labels)
    starts = ("audio:", "visual:", "text:", "whole model:")
    assert len(figure.axes) == 4
    for ax, start in zip(figure.axes, starts, strict=True):
        title = ax.get_title(loc="left")
        # In `fabricated` every method is 0.01 above the one before it, under each seed.
        assert title == f"{start} M-SAM and SAM above joint training at the end"
        assert [t.get_text() for t in ax.texts] == ["Joint training", "SAM", "M-SAM"]
        assert len(ax.lines) == 3 and len(ax.collections) == 3  # lines with their bands
    last = metric_rows(frame[frame["epoch"] == 3], "accuracy", "test")
    last = last[(last["label"] == "joint") & (last["modality"] == "text")]
    shown = next(x for x in figure.axes[2].lines if x.get_label() == "Joint training")
    assert shown.get_ydata()[-1] == pytest.approx(100 * last["value"].mean())
    text = overlaid_alt(frame, labels)
    assert "M-SAM and SAM above joint training" in text and "3 seeds" in text


def test_the_share_of_one_modality_beside_the_equal_share():
    frame = fabricated.results()
    figure = overlaid_curves(
        frame, ["joint"], metric="contribution", modalities=["visual"], equal=True
    )
    (ax,) = figure.axes
    assert ax.get_title(loc="left").startswith("share of visual")
    assert [list(x.get_ydata()) for x in ax.lines][-1] == [50, 50]


def test_too_many_methods_are_refused():
    frame = fabricated.results()
    with pytest.raises(MsamError, match="0 methods in one panel; give 1 to 5"):
        overlaid_curves(frame, [])
    with pytest.raises(MsamError, match="Did you mean 'joint'"):
        overlaid_curves(frame, ["joints"])


def test_titles_of_the_surfaces_follow_their_rises():
    item = ITEMS["surfaces_late"]
    frame = fabricated.surfaces()
    texts = item.build({item.needs: frame})
    assert texts._suptitle.get_text() == "all weights: the loss of SAM rises clearly least"
    assert [ax.get_title()[:9] for ax in texts.axes[:3]] == ["AGM: rise", "SAM: rise", "M-SAM: ri"]
    heights = {ax.get_zlim() for ax in texts.axes if ax.name == "3d"}
    assert len(heights) == 1  # one scale
    steeper = frame.assign(value=frame["value"] * (1 + 9 * frame["label"].eq("sam")))
    other = item.build({item.needs: steeper})._suptitle.get_text()
    assert other == "all weights: the loss of AGM rises clearly least"


def test_surfaces_need_losses_above_zero():
    item = ITEMS["surfaces_late"]
    frame = fabricated.surfaces()
    with pytest.raises(MsamError, match="no logarithmic scale"):
        item.build({item.needs: frame.assign(value=frame["value"] - 1)})
