"""The gains over tuned joint training in every setting that was searched by the protocol."""

from __future__ import annotations

import functools

import pandas as pd

from msam_lib.figures.gains import ELSEWHERE
from msam_lib.figures.item import FigureItem
from msam_lib.figures.settings import FRAMES, SEARCHED
from msam_lib.labels import Comparison, display_names
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.gains import clear, gains
from msam_lib.results.remembered import remembered

LEAST = 4  # settings that a method must be in
WORDS = {"fused": "the whole model", "weakest": "the modality that joint training leaves weakest"}


@remembered(1)  # two tables and their texts ask for them
def all_gains(*frames: pd.DataFrame) -> dict[Comparison, pd.DataFrame]:
    """{setting: its gains by label}; frames of the settings, of the search, of the other
    arithmetic.
    """
    *settings, search, elsewhere = frames
    data = dict(zip(FRAMES, settings, strict=True))
    found = {}
    for where in SEARCHED:
        frame = data[f"methods_{where.dataset}"]
        rows = frame[frame["fusion"] == where.fusion]
        other = elsewhere if where in ELSEWHERE else None
        found[where] = gains(rows, search, where, other).set_index("label")
    return found


def summary_table(*frames: pd.DataFrame, short: str) -> Table:
    """A row per setting, a column per method that is in enough settings.

    Args:
        *frames: see `all_gains`.
        short: "fused" or "weakest".
    """
    found = all_gains(*frames)
    counts = pd.Series([label for table in found.values() for label in table.index]).value_counts()
    names = display_names(counts.index[counts >= LEAST])
    rows = tuple(
        Row(where.name, tuple(_cell(table, label, short) for label in names))
        for where, table in found.items()
    )
    return Table(_caption(short), tuple(names.values()), rows, first="setting")


def _cell(table: pd.DataFrame, label: str, short: str) -> Cell:
    """A gain, bold where it is clear; missing where the method was not run."""
    if label not in table.index:
        return Cell(note="Not run there.")
    row = table.loc[label]
    rank = int(clear(table, short)[label])
    return Cell(float(row[short]), float(row[f"{short}_half"]), int(row["n"]), rank=rank)


def _caption(short: str) -> str:
    return (
        f"Gains over tuned joint training of {WORDS[short]}, in points of test accuracy, in every "
        "setting that was searched by the protocol: mean of the differences paired by seed ± "
        "half-width of the 95 % interval, which includes the luck of both searches. Bold: clear "
        "after Holm's correction for the methods of the setting."
    )


def _describe(*frames: pd.DataFrame, short: str) -> str:
    table = summary_table(*frames, short=short)
    clear = {
        name: [f"{row.cells[k].mean:+.1f} ({row.name})" for row in table.rows if row.cells[k].rank]
        for k, name in enumerate(table.columns)
    }
    said = "; ".join(f"{name} {', '.join(v)}" for name, v in clear.items() if v) or "none"
    return f"Clear gains over tuned joint training of {WORDS[short]}, in points: {said}."


def _item(short: str) -> FigureItem:
    return FigureItem(
        name=f"table_gains_{short}",
        title=f"Gains of {WORDS[short].removeprefix('the ')} in every setting",
        caption=lambda *frames: _caption(short),
        needs=FRAMES[0],
        beside=(*FRAMES[1:], "search", ELSEWHERE[SEARCHED[0]]),
        draw=functools.partial(summary_table, short=short),
        describe=functools.partial(_describe, short=short),
    )


ITEMS = tuple(map(_item, WORDS))
