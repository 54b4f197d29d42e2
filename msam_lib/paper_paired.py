"""The tables of paired differences: is method A better than B, seed by seed, and where?"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

from msam_lib.comparison import accuracies
from msam_lib.paper_items import PaperItem, comparison_name
from msam_lib.plots.names import TITLES, display_names
from msam_lib.plots.tables import Cell, Row, Table
from msam_lib.search_results import uneven
from msam_lib.statistics import paired

ENCODER = "msam:reading=encoder"
# (A, B): a row for A minus B
PAIRS = (
    ("sam", "joint"),
    ("msam", "joint"),
    (ENCODER, "joint"),
    ("masam", "joint"),
    ("mmpareto", "joint"),
    ("inforeg", "joint"),
    ("mnl", "joint"),
    ("gblend", "joint"),
    ("msam", "sam"),
    (ENCODER, "sam"),
    (ENCODER, "msam"),
    ("masam", "msam"),
    ("mmpareto", "msam"),
)
FUSED, WEAKEST = "the whole model", "the weakest modality"
HOW = (
    "Difference in test accuracy (points) of {what} between two methods with the same seeds: mean "
    "± half-width of the 95 % Student-t interval of the paired differences. Bold: the interval "
    "leaves out 0. Preset teach; late fusion, and early fusion (MaxOut)."
)
CHOSEN = " The weakest modality is the one that joint training leaves lowest, others absent."
NOTES = (
    "The intervals hold the spread over seeds, not the luck of the search for a learning rate.",
    "Not corrected for the number of comparisons. With n seeds the exact test over sign patterns "
    "cannot go below 2^(1-n), 0.06 for n = 5, whatever the data.",
)
OLDER = (
    "From an older search, in which joint training met a larger learning rate than the others: {}. "
    "Differences to joint training are too low there, if anything."
)


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of data sets, without those of costs."""
    return frame[frame["split"] != "cost"]


def compared(frame: pd.DataFrame, what: str = FUSED) -> dict[tuple[str, str], pd.DataFrame]:
    """{(data set, fusion): accuracies (%) of the whole model, or of the modality that is lowest
    under joint training}, a row per method, a column per seed.
    """
    whole = accuracies(frame)
    found = {}
    for key in whole.index.droplevel("label").unique():
        if what == FUSED:
            found[key] = whole.xs(key)
            continue
        names = frame.loc[frame["dataset"] == key[0], "modality"].unique()
        several = [accuracies(frame, m).xs(key) for m in sorted(set(names) - {"fused"})]
        found[key] = min(several, key=lambda t: float(t.loc["joint"].mean()))
    return found


def paired_table(frame: pd.DataFrame, what: str = FUSED) -> Table:
    """A minus B over all comparisons.

    Args:
        frame: tidy rows of comparisons, at the reported epoch or at all epochs.
        what: `FUSED` or `WEAKEST`.
    """
    found = compared(measured(frame), what)
    labels = {label for pair in PAIRS for label in pair}
    names = display_names(sorted(labels), TITLES)
    rows = [
        Row(f"{names[a]} - {names[b]}", tuple(_cell(t, a, b) for t in found.values()))
        for a, b in PAIRS
    ]
    heads = [comparison_name(*key) for key in found]
    caption = HOW.format(what=what) + (CHOSEN if what == WEAKEST else "")
    older = uneven(found)
    notes = (*NOTES, OLDER.format("; ".join(older))) if older else NOTES
    return Table(caption, tuple(heads), tuple(rows), notes=notes)


def _cell(accuracy: pd.DataFrame, a: str, b: str) -> Cell:
    if not {a, b} <= set(accuracy.index):
        return Cell()
    both = accuracy.loc[[a, b]].dropna(axis=1)
    if both.shape[1] < 2:
        return Cell()
    test = paired(both.loc[a], both.loc[b])
    clear = test.low > 0 or test.high < 0
    return Cell(test.difference, test.high - test.difference, test.n, rank=1 if clear else 0)


def paired_told(table: Table) -> str:
    """How often each difference is clear, in words."""
    told = []
    for row in table.rows:
        known = [c for c in row.cells if np.isfinite(c.mean)]
        up = sum(c.rank == 1 and c.mean > 0 for c in known)
        down = sum(c.rank == 1 and c.mean < 0 for c in known)
        told.append(f"{row.name}: above in {up}, below in {down} of {len(known)}")
    return f"Clear paired differences by comparison. {'; '.join(told)}."


def _item(name: str, what: str) -> PaperItem:
    draw = functools.partial(paired_table, what=what)
    return PaperItem(
        name,
        f"Is A better than B? {what[0].upper()}{what[1:]}",
        HOW.format(what=what) + (CHOSEN if what == WEAKEST else ""),
        "",
        "methods",
        measured,
        draw,
        lambda frame: paired_told(draw(frame)),
    )


ITEMS = (_item("table_paired_fused", FUSED), _item("table_paired_weakest", WEAKEST))
