"""What the search for learning rates decides: a picture, and the words about it for other items."""

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
    """What stands behind a table: the number of trials, and a note where methods did not meet the
    same learning rates (searches from before `search.trials` gave them the same ones).

    Args:
        search: the frozen trials of every search.
        where: data set and fusion; a fusion that was not searched took late fusion's choices.

    Returns:
        ("9 trials for each method", []), or with a note; of the preset's values where nothing was
        tuned.
    """
    rows = search[search["dataset"] == where.dataset]
    rows = rows[rows["fusion"] == (where.fusion if where.fusion in set(rows["fusion"]) else "late")]
    if rows.empty:
        return "no trials: the preset's values", []
    trials = rows.groupby("label")["lr"]
    counts, largest = trials.size(), trials.max()
    number = " to ".join(str(c) for c in sorted({counts.min(), counts.max()}))
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
    own = frame[frame["label"].isin(SHOWN)]
    found = {row.words: own[own["fusion"] == name] for name, row in FUSIONS.items()}
    return {k: v for k, v in found.items() if len(v)}, display_names(own["label"].unique())


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
