"""The search for learning rates: its figure, and what captions of other items say of it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.catalogue import FUSIONS
from msam_lib.figures.item import FigureItem
from msam_lib.labels import Comparison, display_names
from msam_lib.plots.search import search_alt, search_curves

SHOWN = ("joint", "sam", "msam", "msam:reading=encoder", "mmpareto", "masam")


def describe_search(search: pd.DataFrame, where: Comparison) -> tuple[str, list[str]]:
    """The search behind a table: (number of trials, notes for below the table).

    A note says where methods were not tried at the same learning rates (in searches from before
    `experiments.search.trials` gave all of them the same).

    Args:
        search: the frozen trials of every search.
        where: data set and fusion; a fusion that was not searched took late fusion's choices.

    Returns:
        Such as ("9 trials for each method", []); "no trials: ..." where nothing was tuned.
    """
    rows = search[search["dataset"] == where.dataset]
    rows = rows[rows["fusion"] == (where.fusion if where.fusion in set(rows["fusion"]) else "late")]
    if rows.empty:
        return "no trials: the preset's values", []
    # Trials per method, and each method's largest learning rate: unequal ones favour some methods.
    trials = rows.drop_duplicates("run")
    counts = trials.groupby("label").size()
    # Beyond the grid's edges and in the finer grid, rates follow from each method's own best.
    coarse = trials[trials["round"] == "coarse"] if "round" in trials else trials
    largest = coarse.groupby("label")["lr"].max()
    number = " to ".join(str(c) for c in sorted({counts.min(), counts.max()}))
    if "seed" in rows and rows["seed"].nunique() > 1:
        number += f" (up to {rows['seed'].nunique()} seeds each)"
    top, least = largest.max(), largest.min()
    if top == least:
        return f"{number} trials for each method", []
    names = display_names(largest.index)
    favoured = ", ".join(names[k] for k in sorted(largest.index[largest == top]))
    note = (
        f"An older search: {favoured} met learning rates up to {top:g}, the other methods up to "
        f"{least:g}. That favours the former."
    )
    return f"{number} trials for each method", [note]


def uneven(search: pd.DataFrame, comparisons: Iterable[Comparison]) -> list[str]:
    """Names of those comparisons whose search did not offer all methods the same rates."""
    return [where.name for where in comparisons if describe_search(search, where)[1]]


def searches(frame: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """{panel: trials} of the methods shown, late fusion first, and their names."""
    shown = frame[frame["label"].isin(SHOWN)]
    panels = {row.words: shown[shown["fusion"] == name] for name, row in FUSIONS.items()}
    return {k: v for k, v in panels.items() if len(v)}, display_names(shown["label"].unique())


def _draw(frame: pd.DataFrame) -> Figure:
    return search_curves(*searches(frame))


ITEM = FigureItem(
    name="search_avmnist",
    title="What the search decides",
    caption="Validation accuracy on AV-MNIST against the learning rate, at the best of the tried "
    "values of the method's own option (preset teach, 8,000 training pairs, one seed). Dotted: the "
    "preset's learning rate. Large: each method's choice.",
    needs="search",
    select=lambda frame: frame[frame["dataset"] == "avmnist"],
    draw=_draw,
    describe=lambda frame: search_alt(*searches(frame)),
)
