"""The table of gains with another arithmetic."""

from __future__ import annotations

import pandas as pd

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.figures.item import FigureItem
from msam_lib.labels import Comparison
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.elsewhere import MEASURES, between, both_ways, verdicts

WHERE = Comparison(DEFAULT_DATASET, "late")
WORDS = {"fused": "whole model", "weakest": "weakest modality"}


def elsewhere_table(here: pd.DataFrame, there: pd.DataFrame) -> Table:
    """The gains side by side; bold where they are clear."""
    found = both_ways(here, there, WHERE)
    columns, cells = [], []
    for _, short in MEASURES:
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
    notes = [_said(found, short) for _, short in MEASURES]
    return Table(_caption(here, there), tuple(columns), rows, notes=tuple(notes))


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


def _caption(here: pd.DataFrame, there: pd.DataFrame) -> str:
    kinds = there.attrs.get("provenance", {}).get("instructions", ["another"])
    return (
        f"Gains over tuned joint training on {WHERE.dataset}, late fusion, with the same choices "
        "and the same ten seeds under two arithmetics: that of the reference, and one without "
        f"vector instructions (torch's kernels {', '.join(kinds)}). Points, mean of the "
        "differences paired by seed ± half-width of the 95 % Student-t interval; bold: clear after "
        "Holm's correction."
    )


ITEM = FigureItem(
    name="table_elsewhere_late_avmnist_mini",
    title="The same with another arithmetic",
    caption=_caption,
    needs=f"methods_{DEFAULT_DATASET}",
    beside=(f"elsewhere_{DEFAULT_DATASET}",),
    draw=elsewhere_table,
    describe=lambda here, there: " ".join(elsewhere_table(here, there).notes),
)
