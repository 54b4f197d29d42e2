"""What a method gains over tuned joint training, against what it costs."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.figures.item import FigureItem
from msam_lib.labels import Comparison
from msam_lib.plots.comparison import accuracy_against
from msam_lib.plots.front import front_alt
from msam_lib.results.comparison import against_cost
from msam_lib.results.gains import gains

WHERE = (Comparison(DEFAULT_DATASET, "late"), Comparison(DEFAULT_DATASET, "maxout"))
NAMED = (
    "Joint training",
    "Joint + unimodal losses",
    "SAM",
    "M-SAM",
    "MASAM",
    "MMPareto",
    "ReconBoost",
    "ASAM",
    "AGM",
    "MSLR",
    "M-SAM (encoder)",
    "M-SAM (unimodal loss)",
)


def points(summary: pd.DataFrame, own: pd.DataFrame, search: pd.DataFrame) -> pd.DataFrame:
    """Of every method: the time of an epoch (joint training = 1) and its gain in points."""
    tables = {w: gains(own[own["fusion"] == w.fusion], search, w) for w in WHERE}
    return against_cost(tables, summary)


def _draw(*frames: pd.DataFrame) -> Figure:
    return accuracy_against(
        points(*frames),
        xlabel="time of an epoch (joint = 1)",
        ylabel="gain over joint training (points)",
        named=NAMED,
    )


def _describe(*frames: pd.DataFrame) -> str:
    what = "Gain over tuned joint training in points against the time of an epoch"
    return front_alt(points(*frames), what, "{:+.1f}")


ITEM = FigureItem(
    name="gain_against_cost",
    title="Gain against cost",
    caption="Gain of the whole model over tuned joint training on the embedded AV-MNIST (10 seeds; "
    "its interval is one to three points wide to either side, see the table of gains) against the "
    "time of a training epoch, with all that a method does between epochs, as a multiple of joint "
    "training's (small CNN, two modalities, one CPU thread).",
    needs="methods",
    beside=(f"methods_{DEFAULT_DATASET}", "search"),
    draw=_draw,
    describe=_describe,
)
