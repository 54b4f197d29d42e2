"""The tables of gains with another arithmetic."""

from __future__ import annotations

import functools

import pandas as pd

from msam_lib.catalogue import FUSIONS
from msam_lib.figures.item import FigureItem
from msam_lib.figures.settings import ELSEWHERE
from msam_lib.labels import Comparison
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.elsewhere import between, both_ways, verdicts

WORDS = {"fused": "whole model", "weakest": "weakest modality"}


def elsewhere_table(here: pd.DataFrame, there: pd.DataFrame, *, where: Comparison) -> Table:
    """The gains side by side; bold where they are clear."""
    found = both_ways(here, there, where)
    columns, cells = [], []
    for short in WORDS:
        clear = verdicts(found, short)
        for side, words in (("here", "reference"), ("there", "other arithmetic")):
            columns.append(f"{WORDS[short]}, {words}")
            name = f"{short}_{side}"
            cells.append(
                [
                    Cell(mean, half, n, rank=int(said != 0))
                    for mean, half, n, said in zip(
                        found[name], found[f"{name}_half"], found["n"], clear[side], strict=True
                    )
                ]
            )
    rows = tuple(Row(name, tuple(c[k] for c in cells)) for k, name in enumerate(found["name"]))
    notes = [_said(found, short) for short in WORDS]
    return Table(_caption(here, there, where=where), tuple(columns), rows, notes=tuple(notes))


def _said(found: pd.DataFrame, short: str) -> str:
    """What the arithmetic adds, and which verdicts it changes."""
    clear = verdicts(found, short)
    other = clear[clear["here"] != clear["there"]]
    changed = ", ".join(other.index) or "none"
    opposite = clear[clear["here"] * clear["there"] < 0]
    return (
        f"{WORDS[short].capitalize()}: the arithmetic adds a standard deviation of "
        f"{between(found, short):.1f} points to a gain beyond the spread over seeds; verdicts that "
        f"differ: {changed}; of opposite sign: {', '.join(opposite.index) or 'none'}."
    )


def _caption(here: pd.DataFrame, there: pd.DataFrame, *, where: Comparison) -> str:
    kinds = there.attrs.get("provenance", {}).get("instructions", ["another"])
    return (
        f"Gains over tuned joint training on {where.dataset}, {FUSIONS[where.fusion].words}, with "
        "the same choices and the same ten seeds under two arithmetics: that of the reference, and "
        f"one without vector instructions (torch's kernels {', '.join(kinds)}). Points, mean of "
        "the differences paired by seed ± half-width of the 95 % Student-t interval; bold: clear "
        "after Holm's correction."
    )


def _item(where: Comparison) -> FigureItem:
    return FigureItem(
        name=f"table_elsewhere_{where.fusion}_{where.dataset}",
        title=f"The same with another arithmetic, {where.name}",
        caption=functools.partial(_caption, where=where),
        needs=f"methods_{where.dataset}",
        beside=(ELSEWHERE[where],),
        draw=functools.partial(elsewhere_table, where=where),
        describe=lambda here, there: " ".join(elsewhere_table(here, there, where=where).notes),
    )


ITEMS = tuple(map(_item, ELSEWHERE))
