"""Tables 1 and 2 in the paper's layout: columns by data set, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

import pandas as pd

from msam_lib.catalogue import DEFAULT_DATASET, FUSIONS
from msam_lib.figures.item import FigureItem
from msam_lib.figures.published import ALONE, BASELINE, PAPER, SETS, TABLES
from msam_lib.figures.tables import ABSENT
from msam_lib.labels import display_names
from msam_lib.plots import Table, results_table, table_alt
from msam_lib.plots.results_table import ranked
from msam_lib.plots.style import modality_order
from msam_lib.plots.table import Cell, Row
from msam_lib.results.rows import fusion_rows, seeds_in_words

# The methods of the paper's tables, as far as known here, in its order.
ROWS = ("unimodal", "joint", "mses", "mslr", "ogm_ge", "agm", "cggm", "reconboost", "sam", "msam")
OPTIONAL = tuple(f"methods_{name}" for name in SETS if name != "avmnist")
UNKNOWN = "the paper's number is not known here"
UNNAMED = "the paper's best of the other methods, whose name is not known here"


def paper_layout(fusion: str, frames: Mapping[str, pd.DataFrame], caption: str = "") -> Table:
    """The table of the paper's methods with a group of columns for each of its data sets, and one
    for the embedded one: every modality alone, the whole model, and the paper's whole model.

    Args:
        fusion: late or maxout.
        frames: {data set: rows of its comparison}; a data set that is not among them has dashes.
        caption: above the table.
    """
    names = display_names(ROWS)
    rows: dict[str, list[Cell]] = {name: [] for name in (*names.values(), BASELINE)}
    columns: list[str] = []
    groups: list[tuple[str, int]] = []
    for dataset in (DEFAULT_DATASET, *SETS):
        title, modalities = SETS.get(dataset, (dataset, ("audio", "visual")))
        frame = frames.get(dataset, pd.DataFrame(columns=["fusion", "label"]))
        frame = frame[(frame["fusion"] == fusion) & frame["label"].isin(ROWS)]
        if dataset not in SETS and frame.empty:  # not one of the paper's: nothing to wait for
            continue
        if len(frame):
            modalities = tuple(m for m in modality_order(frame["modality"]) if m != "fused")
        cells = _measured(frame) if len(frame) else {}
        why = "not among these runs" if cells else _why(dataset, fusion, dataset in frames)
        paper = PAPER[fusion].get(dataset)
        for label, name in [*names.items(), (BASELINE, BASELINE)]:
            without = fusion == "maxout" and label == "unimodal" and bool(cells)
            note = UNNAMED if label == BASELINE else ABSENT["Unimodal"] if without else why
            rows[name] += cells.get(name, [Cell(note=note)] * (len(modalities) + 1))
            if paper is not None:
                number = paper.get(label, nan)
                rows[name].append(
                    Cell(number, decimals=2, note="" if number == number else UNKNOWN)
                )
        heads = [*modalities, "all", *(["all, paper"] if paper is not None else [])]
        columns += [f"{title} {head}" for head in heads]
        groups.append((title, len(heads)))
    order = [n for n in rows if n not in (BASELINE, names["sam"], names["msam"])]
    order += [BASELINE, names["sam"], names["msam"]]
    table = [Row(n, tuple(rows[n]), reference=n == names["unimodal"]) for n in order]
    return Table(
        caption,
        tuple(columns),
        tuple(ranked(table, [True] * len(columns))),
        notes=tuple(_notes(fusion, frames)),
        groups=tuple(groups),
    )


def _measured(frame: pd.DataFrame) -> dict[str, list[Cell]]:
    """{name of the method: its cells} of one data set."""
    there = [label for label in ROWS if label in set(frame["label"])]
    table = results_table(frame, labels=there)
    return {row.name: list(row.cells) for row in table.rows}


def _why(dataset: str, fusion: str, compared: bool) -> str:
    """Why a data set has no numbers."""
    if compared:
        return f"not compared under {FUSIONS[fusion].words} here"
    return f"not measured here; where its data are, `python -m msam_lib evidence {dataset}` does"


def _notes(fusion: str, frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """What else a reader has to know."""
    counts = {d: f[f["fusion"] == fusion] for d, f in frames.items()}
    seeds = [f"{d} {seeds_in_words(rows)}" for d, rows in counts.items() if len(rows)]
    notes = [
        f"Ours: {', '.join(seeds)}. The paper gives neither seeds nor intervals, and its networks "
        "and numbers of samples are others: compare within a column."
    ]
    titles = display_names(ROWS)
    for (dataset, modality), numbers in ALONE.get(fusion, {}).items():
        known = ", ".join(f"{titles[label]} {number:.2f}" for label, number in numbers.items())
        notes.append(f"The paper's {modality} alone on {SETS[dataset][0]}: {known}.")
    return notes


def layout_item(fusion: str) -> FigureItem:
    """The item of the table of one fusion."""
    words = FUSIONS[fusion].words
    caption = (
        f"The paper's {TABLES[fusion]}, {words}: test accuracy in percent, ours as mean ± "
        "half-width of the 95 % Student-t interval over seeds at the epoch with the best "
        "validation accuracy (preset teach, learning rate and main option tuned on the validation "
        "split), beside the paper's. Modality columns: all other modalities absent; in the row "
        "Unimodal, separate models. Bold: best of a column; underlined: second."
    )

    def draw(rows: pd.DataFrame, mini: pd.DataFrame, found: Mapping[str, pd.DataFrame]) -> Table:
        frames = {DEFAULT_DATASET: mini, "avmnist": rows}
        frames |= {name.removeprefix("methods_"): frame for name, frame in found.items()}
        return paper_layout(fusion, frames, caption)

    return FigureItem(
        name=f"table_paper_{fusion}",
        title=f"{TABLES[fusion]} in the paper's layout, {words}",
        caption=f"{caption} On AV-MNIST:",
        paper_reference=TABLES[fusion],
        needs="methods_avmnist",
        beside=(f"methods_{DEFAULT_DATASET}",),
        optional=OPTIONAL,
        select=fusion_rows(fusion),
        draw=draw,
        describe=lambda *shown: table_alt(draw(*shown)),
    )


ITEMS = (layout_item("late"), layout_item("maxout"))
