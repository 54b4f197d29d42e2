"""Results tables: accuracies (or another task's metric) per modality and fused, as Markdown, LaTeX,
CSV and HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan

import pandas as pd

from msam_lib.errors import MsamError, unknown_name
from msam_lib.labels import IMPLIED, RADII, display_names, parse
from msam_lib.plots.style import modality_order
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.floors import counted, floors
from msam_lib.results.headline import Headline, headlines, in_words
from msam_lib.results.rows import one_epoch_per_run, seeds_in_words
from msam_lib.results.statistics import t_interval
from msam_lib.results.summary import summary

FLOOR = "Floor"  # its row's name begins so


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
    of the 95 % Student-t interval over seeds; best and second best of each column are marked. Of a
    data set with another task its headline metric stands in place of the accuracy and is named in
    the heading: the macro AUPRC in percent, or the MAE in the unit of the labels (best: lowest).

    The first row is the floor: what the best answer that ignores its input reaches, the commonest
    class, prevalence, or always the training median. Runs of older versions did not record it.

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
            `"shapley"` or `"head"`.
        caption: above the table; by default what is shown, and over how many seeds.
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
    tasks = headlines(chosen)
    second = second.rpartition("_")[2]
    measured = {name for headline in tasks.values() for name in headline.measured}
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
            _cell(values, (d, f, label, m), tasks[d], "head" if alone and m != "fused" else kind)
            for d, f, m, kind in columns
        ]
        number = (paper or {}).get(label, (paper or {}).get(methods[label]))
        published = "" if number is None or _varied(label, paper) else f"{number:.2f}"
        rows.append(Row(name, tuple(cells), published, methods[label] in reference))
    rows.sort(key=lambda r: not r.reference)  # stable: references first
    larger = [tasks[d].higher_is_better for d, *_ in columns]
    rows = [_with_seeds(row, int(values["n"].max())) for row in ranked(rows, larger)]
    absent = (missing or {}).items()
    first = [Row(k, (Cell(note=why),) * len(columns), reference=True) for k, why in absent]
    if floor := _floor_row(chosen, columns, tasks):
        first.insert(0, floor)
    named = any(h.metric != "accuracy" for h in tasks.values())
    heads = tuple(_heading(c, sets, tasks[c[0]].title if named else "") for c in columns)
    further = [sentence for sentence in (counted(chosen),) if sentence]
    return Table(
        caption or _usual_caption(chosen, tasks, split),
        heads,
        (*first, *rows),
        paper_title if paper else "",
        (*notes, *further),
        "accuracies in percent" if not named else f"values: {in_words(tasks)}",
    )


def _usual_caption(frame: pd.DataFrame, tasks: dict[str, Headline], split: str) -> str:
    """What the table shows, where the caller says nothing."""
    return (
        f"{split[0].upper()}{split[1:]} {in_words(tasks)}: {seeds_in_words(frame)}, mean ± "
        "half-width of the 95 % Student-t interval. Modality columns: all other modalities absent. "
        "Bold: best; underlined: second."
    )


def _cell(
    values: pd.DataFrame, key: tuple[str, str, str, str], headline: Headline, kind: str
) -> Cell:
    """The cell of (dataset, fusion, label, modality), by a definition of a modality's metric."""
    place = (*key, f"{headline.metric}_{kind}" if kind else headline.metric)
    if place not in values.index:
        return Cell(note="not among these runs")
    row, factor = values.loc[place], headline.factor
    mean, half = factor * float(row["mean"]), factor * float(row["half"])
    return Cell(mean, half, int(row["n"]), decimals=headline.decimals)


def _floor_row(
    frame: pd.DataFrame, columns: Sequence[tuple[str, str, str, str]], tasks: dict[str, Headline]
) -> Row | None:
    """What the best answer that ignores its input reaches: the same for every modality; None where
    no run recorded it.
    """
    known = floors(frame)
    if known.empty:
        return None
    cells = []
    for d, f, *_ in columns:
        headline = tasks[d]
        if (d, f) not in known.index.droplevel("seed"):
            cells.append(Cell(note="not recorded by these runs"))
            continue
        values = headline.factor * known.loc[d, f]
        # The same data under every seed leave nothing to be uncertain about.
        half = t_interval(values).mean - t_interval(values).low if values.nunique() > 1 else nan
        cells.append(Cell(float(values.mean()), half, len(values), decimals=headline.decimals))
    answers = dict.fromkeys(tasks[d].floor for d, *_ in columns)
    return Row(f"{FLOOR} ({', '.join(answers)})", tuple(cells), reference=True)


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


def ranked(rows: list[Row], larger: Sequence[bool]) -> list[Row]:
    """The rows with best and second best of each column marked, at the precision shown; equal
    values share a rank. `larger` says by column whether larger values are better, or smaller ones.
    """
    out = [list(row.cells) for row in rows]
    for j in range(len(rows[0].cells) if rows else 0):
        cells = {i: r.cells[j] for i, r in enumerate(rows) if not r.reference}
        shown = {i: round(c.mean, c.decimals) for i, c in cells.items()}
        top = sorted({v for v in shown.values() if isfinite(v)}, reverse=larger[j])[:2]
        for i, value in shown.items():
            if value in top and len(shown) > 1:
                out[i][j] = out[i][j]._replace(rank=top.index(value) + 1)
    return [row._replace(cells=tuple(cells)) for row, cells in zip(rows, out, strict=True)]


def _heading(column: tuple[str, str, str, str], sets: Sequence[tuple[str, str]], title: str) -> str:
    """The heading of a column; it names data set and fusion where the table has several, and the
    metric where `title` says it.
    """
    dataset, fusion, modality, kind = column
    several = [len({s[i] for s in sets}) > 1 for i in (0, 1)]
    where = [word for word, shown in zip((dataset, fusion), several, strict=True) if shown]
    text = " ".join([*where, modality, *([f"({kind})"] if kind else [])])
    return f"{text}, {title}" if title else text


def table_alt(table: Table) -> str:
    """The table in a sentence or two: its size, and the best method of each column."""
    best = []
    for j, column in enumerate(table.columns):
        first = [r for r in table.rows if r.cells[j].rank == 1]
        if first:
            who = " and ".join(r.name for r in first)
            best.append(f"{column} {who} with {first[0].cells[j].text}")
    methods = sum(not row.name.startswith(FLOOR) for row in table.rows)
    text = f"Table of {methods} methods by {len(table.columns)} {table.quantity}."
    return text + (f" Best: {'; '.join(best)}." if best else "")
