"""Wrong training labels, every method tuned at every share of them."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.figures.gains_summary import gain_cell
from msam_lib.figures.item import FigureItem
from msam_lib.figures.settings import SHOWN, WITH_WRONG, WRONG, WRONG_LABELS
from msam_lib.labels import display_names
from msam_lib.plots import dial as plots
from msam_lib.plots.table import Row, Table
from msam_lib.results.dial import dial
from msam_lib.results.gains import clear

LEVEL = "{:.0%} wrong"


def wrong_labels(*frames: pd.DataFrame) -> pd.DataFrame:
    """The gains at every share; frames of the settings, then of the search."""
    *several, search = frames
    named = dict(zip(WRONG, several, strict=True))
    return dial(named, search, SHOWN, option=WRONG_LABELS, usual=0.0)


def title(table: pd.DataFrame) -> str:
    """The finding: where a loss per modality alone gains clearly, and where SAM does."""
    names, gained = table.set_index("label")["name"], table[clear(table) & (table["fused"] > 0)]
    said = []
    for label in ("joint_unimodal", "sam"):
        levels = [f"{v:.0%}" for v in gained.loc[gained["label"] == label, "level"]]
        where = f"at {', '.join(levels)}" if levels else "nowhere"
        said.append(f"{names.loc[[label]].iloc[0]} {where}")
    return f"Clear gains of the whole model, by wrong labels:\n{'; '.join(said)}"


def _draw(*frames: pd.DataFrame) -> Figure:
    table = wrong_labels(*frames)
    return plots.dial_points(
        table,
        title=title(table),
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


def _table(*frames: pd.DataFrame) -> Table:
    """A row per share of wrong labels, a column per method: gains of the whole model."""
    levels = wrong_labels(*frames).set_index("label").groupby("level")
    rows = tuple(
        Row(LEVEL.format(level), tuple(gain_cell(own, label, "fused") for label in SHOWN))
        for level, own in levels
    )
    names = display_names(SHOWN)
    columns = tuple(names[k] for k in SHOWN)
    return Table(TABLED, columns, rows, first="labels", quantity="gains in points")


TABLED = (
    "Gains over tuned joint training of the whole model, in points of test accuracy, on digits, "
    "late fusion, with a share of the training labels wrong, every method searched anew at every "
    "share: mean of the differences paired by seed ± half-width of the 95 % interval, which "
    "includes the luck of both searches. Bold: clear after Holm's correction for the methods."
)
TABLE = replace(
    ITEM,
    name="table_label_noise_tuned",
    title="Wrong training labels, tuned for them, in numbers",
    caption=TABLED,
    draw=_table,
)
ITEMS = (ITEM, TABLE)
