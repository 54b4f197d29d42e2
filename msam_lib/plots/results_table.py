"""Results tables: accuracies (or another task's metric) per modality and fused, as Markdown, LaTeX,
CSV and HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import pandas as pd

from msam_lib.errors import MsamError, unknown_name
from msam_lib.labels import IMPLIED, RADII, display_names, parse
from msam_lib.plots.style import modality_order
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.headline import headline_of
from msam_lib.results.rows import one_epoch_per_run
from msam_lib.results.summary import summary


def results_table(
    frame: pd.DataFrame,
    *,
    labels: Sequence[str] | None = None,
    titles: Mapping[str, str] | None = None,
    split: str = "test",
    paper: Mapping[str, float] | None = None,
    paper_title: str = "paper",
    missing: Mapping[str, str] | None = None,
    reference: Sequence[str] = ("unimodal",),
    second: str = "",
    caption: str = "",
    notes: Sequence[str] = (),
) -> Table:
    """A table of accuracies (%) of every modality alone and of the whole model: mean ± half-width
    of the 95 % Student-t interval over seeds; best and second best of each column are marked. For
    another task its headline metric stands in place of the accuracy, times 100.

    Args:
        frame: tidy rows; where a run has several epochs, the one with the best validation accuracy
            is taken. Several data sets or fusions become several column groups.
        labels: rows, in this order; all by default.
        titles: {label or method: name}.
        split: where accuracy was measured.
        paper: {label or method: the paper's number in percent}, shown in a separate column.
        paper_title: heading of that column; it should name the data.
        missing: {name of a further row: why it has no values}.
        reference: methods that are not ranked. Unimodal training's entries are those of its
            separate models (`accuracy_head`).
        second: a further definition of a modality's accuracy, shown in separate columns:
            `"accuracy_shapley"` or `"accuracy_head"`.
        caption: above the table.
        notes: sentences below it.

    Raises:
        MsamError: a label or a split that the frame does not have.
    """
    chosen = one_epoch_per_run(frame)
    chosen = chosen[chosen["split"] == split]
    names = display_names(frame["label"].unique() if labels is None else labels, titles)
    names = names if labels is None else {label: names[label] for label in labels}
    methods = frame.drop_duplicates("label").set_index("label")["method"]
    if unknown := [label for label in names if label not in methods]:
        raise unknown_name("label", unknown[0], methods.index)
    if chosen.empty:
        raise MsamError(f"No rows on split {split!r}; there is: {sorted(frame['split'].unique())}.")
    # Means over seeds of every cell, and the columns: of each data set and fusion first the
    # accuracies of the modalities and the fused one, then those by the second definition.
    keys = ["dataset", "fusion", "label", "modality", "metric"]
    headline = headline_of(chosen)
    measured = [*headline.measured[:2], *([second] if second else [])]
    values = summary(chosen[chosen["metric"].isin(measured)]).set_index(keys)
    sets = list(chosen[["dataset", "fusion"]].drop_duplicates().itertuples(index=False, name=None))
    columns = []
    for d, f in sets:
        group = chosen[(chosen["dataset"] == d) & (chosen["fusion"] == f)]
        order = modality_order(group["modality"])
        columns += [(d, f, m, "") for m in order]
        columns += [(d, f, m, second) for m in order if second and m != "fused"]
    rows = []
    for label, name in names.items():  # a row per method
        alone = methods[label] == "unimodal"
        cells = [
            _cell(
                values,
                (d, f, label, m),
                headline.measured[1] if alone and m != "fused" else kind or headline.metric,
            )
            for d, f, m, kind in columns
        ]
        number = (paper or {}).get(label, (paper or {}).get(methods[label]))
        published = "" if number is None or _varied(label, paper) else f"{number:.2f}"
        rows.append(Row(name, tuple(cells), published, methods[label] in reference))
    rows.sort(key=lambda r: not r.reference)  # stable: references first
    rows = [
        _with_seeds(row, int(values["n"].max())) for row in _ranked(rows, headline.higher_is_better)
    ]
    absent = (missing or {}).items()
    empty_rows = [Row(k, (Cell(note=why),) * len(columns), reference=True) for k, why in absent]
    heads = tuple(_heading(c, sets) for c in columns)
    return Table(caption, heads, (*empty_rows, *rows), paper_title if paper else "", tuple(notes))


def _cell(values: pd.DataFrame, key: tuple[str, str, str, str], metric: str) -> Cell:
    """The cell in percent of (dataset, fusion, label, modality)."""
    place = (*key, metric)
    if place not in values.index:
        return Cell(note="not among these runs")
    row = values.loc[place]
    return Cell(100 * float(row["mean"]), 100 * float(row["half"]), int(row["n"]))


def _with_seeds(row: Row, n: int) -> Row:
    """The row with a note at each value that rests on fewer than `n` seeds."""
    cells = [
        c._replace(note=f"{c.n} of {n} seeds only") if 0 < c.n < n and not c.note else c
        for c in row.cells
    ]
    return row._replace(cells=tuple(cells))


def _varied(label: str, paper: Mapping[str, float] | None) -> bool:
    """Whether a label is a variant (`msam:reading=encoder`) for which the paper has no number."""
    options = {k: v for k, v in parse(label)[1].items() if k not in RADII}
    return label not in (paper or {}) and any(f"{k}={v}" not in IMPLIED for k, v in options.items())


def _ranked(rows: list[Row], larger: bool) -> list[Row]:
    """The rows with best and second best of each column marked, at the precision shown; equal
    values share a rank. `larger` values are better, or smaller ones.
    """
    out = [list(row.cells) for row in rows]
    for j in range(len(rows[0].cells) if rows else 0):
        shown = {i: round(r.cells[j].mean, 1) for i, r in enumerate(rows) if not r.reference}
        top = sorted({v for v in shown.values() if isfinite(v)}, reverse=larger)[:2]
        for i, value in shown.items():
            if value in top and len(shown) > 1:
                out[i][j] = out[i][j]._replace(rank=top.index(value) + 1)
    return [row._replace(cells=tuple(cells)) for row, cells in zip(rows, out, strict=True)]


def _heading(column: tuple[str, str, str, str], sets: Sequence[tuple[str, str]]) -> str:
    """The heading of a column; it names data set and fusion where the table has several."""
    dataset, fusion, modality, kind = column
    several = [len({s[i] for s in sets}) > 1 for i in (0, 1)]
    where = [word for word, shown in zip((dataset, fusion), several, strict=True) if shown]
    definition = kind.rpartition("_")[2]
    return " ".join([*where, modality, *([f"({definition})"] if definition else [])])


def table_alt(table: Table) -> str:
    """The table in a sentence or two: its size, and the best method of each column."""
    best = []
    for j, column in enumerate(table.columns):
        first = [r for r in table.rows if r.cells[j].rank == 1]
        if first:
            who = " and ".join(r.name for r in first)
            best.append(f"{column} {who} with {first[0].cells[j].text}")
    text = f"Table of {len(table.rows)} methods by {len(table.columns)} accuracies in percent."
    return text + (f" Best: {'; '.join(best)}." if best else "")
