"""Wrong training labels, every method tuned at every share of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.figures.dial import GAINING, dial_title
from msam_lib.figures.item import FigureItem
from msam_lib.figures.settings import WITH_WRONG, WRONG, WRONG_LABELS
from msam_lib.plots import dial as plots
from msam_lib.results.dial import dial

LEVEL = "{:.0%} wrong"


def wrong_labels(*frames: pd.DataFrame) -> pd.DataFrame:
    """The gains at every share; frames of the settings, then of the search."""
    *several, search = frames
    named = dict(zip(WRONG, several, strict=True))
    return dial(named, search, GAINING, option=WRONG_LABELS, usual=0.0)


def _draw(*frames: pd.DataFrame) -> Figure:
    table = wrong_labels(*frames)
    return plots.dial_points(
        table,
        title=dial_title(table, LEVEL),
        xlabel="training labels, dominant modality",
        level=LEVEL,
    )


ITEM = FigureItem(
    name="label_noise_tuned",
    title="Wrong training labels, tuned for them",
    caption="Gains over tuned joint training on digits, late fusion, where a share of the training "
    "labels is wrong; below each share the dominant modality and its Shapley share of the accuracy "
    "under joint training. Every method was searched anew at every share, on validation labels "
    "that are right; mean of the differences paired by seed with the 95 % interval, which includes "
    "the luck of both searches (10 seeds).",
    needs=WITH_WRONG[0],
    beside=(*WITH_WRONG[1:], "search"),
    draw=_draw,
    describe=lambda *frames: plots.dial_alt(wrong_labels(*frames), "labels {:.0%} wrong"),
)
