"""The tables of paired differences: is method A better than B, seed by seed, and where?"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from msam_lib.catalogue import METHODS
from msam_lib.figures.item import FigureItem
from msam_lib.figures.search import uneven
from msam_lib.figures.tables import since
from msam_lib.labels import Comparison, display_names
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.comparison import FUSED, WEAKEST, compared, measured
from msam_lib.results.headline import HEADLINES, Headline, headlines
from msam_lib.results.statistics import paired

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
HOW = (
    "Difference in test {metric} of {what} between two methods with the same seeds: mean "
    "± half-width of the 95 % Student-t interval of the paired differences. Bold: the interval "
    "leaves out 0. Preset teach; late fusion, and early fusion (MaxOut)."
)
CHOSEN = " The weakest modality is the one that joint training leaves lowest, others absent."
ERRORS = " Errors are subtracted the other way round: a positive difference says that A is better."
NOTES = (
    "The intervals hold the spread over seeds, not the luck of the search for a learning rate.",
    "Not corrected for the number of comparisons. With n seeds the exact test over sign patterns "
    "cannot go below 2^(1-n), 0.06 for n = 5, whatever the data.",
)
OLDER = (
    "From an older search, in which joint training met a larger learning rate than the others: {}. "
    "Differences to joint training are too low there, if anything."
)


def paired_table(frame: pd.DataFrame, search: pd.DataFrame, what: str = FUSED) -> Table:
    """The table of differences A minus B (points; of errors B minus A, in the unit of the labels),
    a row per pair, a column per comparison.

    Args:
        frame: tidy rows of comparisons, at the reported epoch or at all epochs.
        search: the frozen trials of every search.
        what: `FUSED` or `WEAKEST`.
    """
    tables, chosen = compared(measured(frame), what), headlines(measured(frame))
    labels = {label for pair in PAIRS for label in pair}
    names = display_names(sorted(labels), {name: row.title for name, row in METHODS.items()})
    rows = [
        Row(
            f"{names[a]} - {names[b]}",
            tuple(_cell(t, a, b, chosen[w.dataset]) for w, t in tables.items()),
        )
        for a, b in PAIRS
    ]
    older = uneven(search, tables)
    notes = (*NOTES, *([OLDER.format("; ".join(older))] if older else []), *since(frame))
    heads = tuple(_heading(where, chosen) for where in tables)
    return Table(_caption(what, chosen), heads, tuple(rows), notes=notes)


def _caption(what: str, chosen: Mapping[str, Headline]) -> str:
    """The caption; of data sets whose task is classification it names the accuracy alone."""
    distinct = list(dict.fromkeys(chosen.values())) or [HEADLINES["accuracy"]]
    metric = ", ".join(f"{h.words} ({'points' if h.factor == 100 else h.unit})" for h in distinct)
    errors = "" if all(h.higher_is_better for h in distinct) else ERRORS
    return HOW.format(what=what, metric=metric) + (CHOSEN if what == WEAKEST else "") + errors


def _heading(where: Comparison, chosen: Mapping[str, Headline]) -> str:
    """Data set and fusion, and the metric where it is not the accuracy."""
    headline = chosen[where.dataset]
    return where.name + ("" if headline == HEADLINES["accuracy"] else f", {headline.title}")


def _cell(accuracy: pd.DataFrame, a: str, b: str, headline: Headline) -> Cell:
    """The cell of a minus b over the seeds that both have, positive where a is better; rank 1 where
    the interval leaves out 0.

    Args:
        accuracy: see `accuracies`; a row per method, a column per seed.
    """
    if not {a, b} <= set(accuracy.index):
        return Cell()
    both = accuracy.loc[[a, b]].dropna(axis=1)
    if both.shape[1] < 2:
        return Cell()
    test = paired(headline.sign * both.loc[a], headline.sign * both.loc[b])
    clear = test.low > 0 or test.high < 0
    half = test.high - test.difference
    return Cell(test.difference, half, test.n, 1 if clear else 0, decimals=headline.decimals)


def describe_paired(table: Table) -> str:
    """The alternative text: in how many comparisons each difference is clearly not 0."""
    counts = []
    for row in table.rows:
        known = [c for c in row.cells if np.isfinite(c.mean)]
        up = sum(c.rank == 1 and c.mean > 0 for c in known)
        down = sum(c.rank == 1 and c.mean < 0 for c in known)
        counts.append(f"{row.name}: above in {up}, below in {down} of {len(known)}")
    return f"Clear paired differences by comparison. {'; '.join(counts)}."


def _item(name: str, what: str) -> FigureItem:
    draw = functools.partial(paired_table, what=what)
    return FigureItem(
        name=name,
        title=f"Is A better than B? {what[0].upper()}{what[1:]}",
        caption=lambda frame, search: _caption(what, headlines(frame)),
        needs="methods",
        beside=("search",),
        select=measured,
        draw=draw,
        describe=lambda frame, search: describe_paired(draw(frame, search)),
    )


ITEMS = (_item("table_paired_fused", FUSED), _item("table_paired_weakest", WEAKEST))
