"""The tables of gains over tuned joint training, with the luck of the search in every interval."""

from __future__ import annotations

import functools

import pandas as pd

from msam_lib.catalogue import FUSIONS, METHODS
from msam_lib.figures.item import FigureItem
from msam_lib.figures.settings import ELSEWHERE, WHOLE
from msam_lib.labels import Comparison, display_names
from msam_lib.plots.curves import unimodal_accuracy
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.gains import clear, collapsed, gains
from msam_lib.results.rows import alone

COLUMNS = ("whole model", "p", "weakest modality", "p ", "learning rate", "option", "trials")
EDGE = "The chosen {} lies at the edge of all that was tried."


def gains_table(
    frame: pd.DataFrame,
    search: pd.DataFrame,
    elsewhere: pd.DataFrame | None = None,
    *,
    where: Comparison,
) -> Table:
    """The table, the largest gain of the whole model first."""
    table = gains(frame, search, where, elsewhere).sort_values("fused", ascending=False)
    table = table.assign(bold=clear(table), bold_weakest=clear(table, "weakest"))  # rank 1
    rows = tuple(
        Row(
            row.name,
            (
                Cell(row.fused, row.fused_half, row.n, int(row.bold)),
                Cell(row.fused_p, decimals=3),
                Cell(row.weakest, row.weakest_half, row.n, int(row.bold_weakest)),
                Cell(row.weakest_p, decimals=3),
                Cell(row.lr, decimals=4, note=_edge(row.edges)),
                _option(row.option),
                Cell(row.trials, decimals=0),
            ),
        )
        for row in table.itertuples(index=False)
    )
    at_edge = sum(bool(e) for e in table["edges"])
    notes = (
        "The main option of each method: "
        + "; ".join(
            f"{row.name}: {METHODS[row.label.partition(':')[0]].option}"
            for row in table.itertuples(index=False)
            if row.option
        )
        + ".",
        f"{at_edge} of {len(table)} choices lie at an edge of what was tried.",
        *_collapse(frame, where),
    )
    return Table(_caption(frame, search, elsewhere, where=where), COLUMNS, rows, notes=notes)


def _collapse(frame: pd.DataFrame, where: Comparison) -> list[str]:
    """A note on single runs that end below the best modality by itself; empty without a measure."""
    reference = alone(frame)
    if reference is None:
        return []
    bound = 100 * max(unimodal_accuracy(reference).values())
    share = collapsed(frame, where, bound)
    names = display_names(share.index)
    said = ", ".join(f"{names[k]} {v:.0%}" for k, v in share[share > 0].items()) or "none"
    return [f"Runs that end below the best modality trained alone ({bound:.1f} %): {said}."]


def _edge(edges: list[str]) -> str:
    """The note on edges; "" for none."""
    words = {"lr": "learning rate", "option": "option"}
    return EDGE.format(" and ".join(words[e] for e in edges)) if edges else ""


def _option(text: str) -> Cell:
    """The value of a method's main option; a word, or none, is left out."""
    try:
        return Cell(float(text), decimals=4)
    except ValueError:
        return Cell()


def _caption(
    frame: pd.DataFrame,
    search: pd.DataFrame,
    elsewhere: pd.DataFrame | None = None,
    *,
    where: Comparison,
) -> str:
    also = "" if elsewhere is None else " and what another processor's arithmetic adds"
    return (
        f"Gains over tuned joint training on {where.dataset}, {FUSIONS[where.fusion].words}, in "
        "points of test accuracy at the epoch with the best validation accuracy: mean of the "
        f"differences paired by seed ± half-width of the 95 % interval, which includes the luck of "
        f"both searches{also}; p of the paired t test, adjusted by Holm for the number of methods "
        "(bold: below 0.05, and the interval leaves out 0). Weakest: the modality that joint "
        "training leaves lowest, others absent. Then what the search chose, and of how many trials."
    )


def _describe(
    frame: pd.DataFrame,
    search: pd.DataFrame,
    elsewhere: pd.DataFrame | None = None,
    *,
    where: Comparison,
) -> str:
    table = gains(frame, search, where, elsewhere).sort_values("fused", ascending=False)
    shown = table[clear(table)].itertuples(index=False)
    said = ", ".join(f"{r.name} {r.fused:+.1f}" for r in shown) or "none"
    best, last = table.iloc[0], table.iloc[-1]
    return (
        f"Gains of {len(table)} methods over joint training: from {best['name']} "
        f"{best['fused']:+.1f} to {last['name']} {last['fused']:+.1f} points; clear after Holm's "
        f"correction: {said}."
    )


def _item(where: Comparison) -> FigureItem:
    same = {"where": where}
    return FigureItem(
        name=f"table_gains_{where.fusion}_{where.dataset}",
        title=f"Gains over tuned joint training, {where.name}",
        caption=functools.partial(_caption, **same),
        needs=f"methods_{where.dataset}",
        beside=("search", *([ELSEWHERE[where]] if where in ELSEWHERE else [])),
        draw=functools.partial(gains_table, **same),
        describe=functools.partial(_describe, **same),
    )


ITEMS = tuple(map(_item, WHOLE))
