"""The gains over tuned joint training in every setting that was searched by the protocol."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.figures.item import FigureItem
from msam_lib.figures.settings import ELSEWHERE, FRAMES, SEARCHED, SHOWN
from msam_lib.labels import Comparison, display_names
from msam_lib.plots.gains import gains_alt, gains_by_setting
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.gains import clear, gains
from msam_lib.results.remembered import remembered

LEAST = 4  # settings that a method must be in
BESIDE = (*FRAMES[1:], "search", ELSEWHERE[SEARCHED[0]])
WORDS = {
    "fused": "the whole model",
    "weakest": "the modality that joint training leaves weakest",
    "head": "the modality that joint training leaves weakest, by its own head",
}
HOW = {
    "weakest": " The whole network answers, the other inputs absent.",
    "head": " Answers are the modality's own logits alone (with MaxOut there are none); absent "
    "inputs, which an encoder may answer loudly, play no part.",
}


@remembered(1)  # three tables, a picture and their texts ask for them
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
        short: "fused", "weakest" or "head".
    """
    found = {where: table for where, table in all_gains(*frames).items() if short in table}
    counts = pd.Series([label for table in found.values() for label in table.index]).value_counts()
    names = display_names(counts.index[counts >= LEAST])
    rows = tuple(
        Row(where.name, tuple(gain_cell(table, label, short) for label in names))
        for where, table in found.items()
    )
    return Table(_caption(short), tuple(names.values()), rows, first="setting")


def gain_cell(table: pd.DataFrame, label: str, short: str) -> Cell:
    """A gain of a table by label, bold where it is clear; missing where the method was not run."""
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
        "after Holm's correction for the methods of the setting." + HOW.get(short, "")
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
        beside=BESIDE,
        draw=functools.partial(summary_table, short=short),
        describe=functools.partial(_describe, short=short),
    )


def _by_setting(*frames: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """{setting in words: its gains, with what is clear}."""
    return {
        where.name: table.assign(clear_fused=clear(table), clear_weakest=clear(table, "weakest"))
        for where, table in all_gains(*frames).items()
    }


def everywhere_title(tables: Mapping[str, pd.DataFrame]) -> str:
    """The finding: in how many settings each method's gain of the whole model is clear."""
    names = display_names(SHOWN)
    counts = {
        k: sum(
            k in t.index and bool(t.loc[k, "clear_fused"]) and t.loc[k, "fused"] > 0
            for t in tables.values()
        )
        for k in SHOWN
    }
    said = ", ".join(f"{names[k]} {count}" for k, count in counts.items())
    return f"Settings, of {len(tables)}, with a clear gain of the whole model:\n{said}"


def _draw(*frames: pd.DataFrame) -> Figure:
    tables = _by_setting(*frames)
    return gains_by_setting(tables, SHOWN, display_names(SHOWN), title=everywhere_title(tables))


EVERYWHERE = FigureItem(
    name="gains_everywhere",
    title="Gains over tuned joint training in every setting",
    caption="Gains over tuned joint training of the whole model and of the modality that joint "
    "training leaves weakest, in every setting that was searched by the protocol: mean of the "
    "differences paired by seed with the 95 % interval, which includes the luck of both searches "
    "(10 seeds). Filled: clear after Holm's correction for the methods of the setting.",
    needs=FRAMES[0],
    beside=BESIDE,
    draw=_draw,
    describe=lambda *frames: gains_alt(_by_setting(*frames), SHOWN, display_names(SHOWN)),
)
ITEMS = (*map(_item, WORDS), EVERYWHERE)
