"""The registry of every figure and table that this project regenerates, and their building.

Products are drawn from frozen results (`figures/data`) alone. `manifest.json` records from which
data and with which code, so `build_all(check=True)` finds stale ones without drawing. No torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.geometry import landscapes
from msam_lib.plots import (
    Table,
    accuracy_curves,
    class_heatmap,
    class_heatmap_alt,
    contribution_alt,
    contribution_curves,
    curves_alt,
    results_table,
    strong_versus_weak,
    strong_versus_weak_alt,
    style,
    table_alt,
    tables,
)
from msam_lib.plots._series import seeds_in_words
from msam_lib.plots.curvature import trace_alt, trace_curves
from msam_lib.plots.landscape import surfaces, surfaces_alt
from msam_lib.plots.names import radii
from msam_lib.products import build
from msam_lib.selection import (
    alone,
    fusion_rows,
    strong_weak_rows,
    traced_rows,
    with_reference,
)

Product = Figure | Table

# The paper's multimodal accuracies on AV-MNIST (arXiv 2510.24919, Tables 1 and 2), in percent. It
# gives neither seeds nor spread.
PAPER_LATE = {"joint": 68.41, "sam": 73.17, "msam": 74.08}
PAPER_MAXOUT = {"joint": 71.15, "sam": 73.22, "msam": 74.48}


@dataclass(frozen=True)
class PaperItem:
    """One figure or table.

    Args:
        name: of its files.
        title: a few words.
        caption: what is shown and how it was measured.
        paper_reference: the figure or table of the paper it answers to; "" for one of our own.
        needs: name of the frozen results it is drawn from.
        select: the rows it shows, of all rows.
        draw: those rows -> Figure or Table.
        describe: those rows -> alternative text.
    """

    name: str
    title: str
    caption: str
    paper_reference: str
    needs: str
    select: Callable[[pd.DataFrame], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Product]
    describe: Callable[[pd.DataFrame], str]

    @property
    def kinds(self) -> tuple[str, ...]:
        """File name endings of its products."""
        return tables.FORMATS if self.name.startswith("table_") else style.FORMATS

    def build(self, frame: pd.DataFrame) -> Product:
        """The picture or table, from all frozen rows."""
        return self.draw(self.select(frame))

    def alt(self, frame: pd.DataFrame) -> str:
        """What is to be seen, in words, from all frozen rows."""
        return self.describe(self.select(frame))

    def full_caption(self, frame: pd.DataFrame) -> str:
        """The caption with number of seeds and radii."""
        rows = self.select(frame)
        told = radii(rows["label"].unique())
        return " ".join([self.caption, f"{seeds_in_words(rows)}.", told]).strip()


def _convergence(fusion: str, words: str, figure: str) -> PaperItem:
    return PaperItem(
        f"convergence_{fusion}",
        f"Accuracy over epochs, {words}",
        f"Test accuracy over epochs with {words}: each modality while the others are absent, and "
        "the whole model. Dashed: models trained on one modality alone, at their best validation "
        "epoch. Mean and 95 % Student-t interval over seeds (cut at 0 and 100).",
        figure,
        "digits",
        with_reference(fusion),
        lambda rows: accuracy_curves(rows, reference=alone(rows)),
        lambda rows: curves_alt(rows, reference=alone(rows)),
    )


def _dominance(fusion: str, words: str, data: str = "digits") -> PaperItem:
    return PaperItem(
        _named("dominance", fusion, data),
        f"Contributions over epochs, {words}",
        f"Each modality's share of the test accuracy (Shapley values) over epochs with {words}. "
        "Dashed: the equal share. Mean and 95 % Student-t interval over seeds (cut at 0 and 100).",
        "",
        data,
        fusion_rows(fusion),
        contribution_curves,
        contribution_alt,
    )


def _table(
    fusion: str, words: str, number: int, paper: dict[str, float], data: str = "digits"
) -> PaperItem:
    caption = (
        f"Test accuracy in percent with {words}, mean ± half-width of the 95 % Student-t interval "
        "over seeds, at the epoch with the best validation accuracy. Modality columns: all other "
        "modalities absent; in the row Unimodal, separate models. Bold: best; underlined: second."
    )
    other = "other networks and sizes" if data == "avmnist" else "other data"
    absent = {"Unimodal": "needs per-modality logits, which MaxOut does not have"}

    def draw(rows: pd.DataFrame) -> Table:
        return results_table(
            rows,
            paper=paper,
            paper_title="paper, AV-MNIST",
            missing=absent if fusion == "maxout" else None,
            caption=caption,
            notes=[
                "The last column repeats the paper's numbers on AV-MNIST, given there without "
                f"seeds or intervals: {other}, not comparable with the rest."
            ],
        )

    return PaperItem(
        _named("table", fusion, data), f"Results, {words}", caption, f"Table {number}", data,
        fusion_rows(fusion), draw, lambda rows: table_alt(draw(rows)),
    )  # fmt: skip


def _strong_versus_weak(data: str = "digits") -> PaperItem:
    return PaperItem(
        _named("strong_versus_weak", "", data),
        "Perturbing the strong or the weak encoder",
        "Test accuracy of the weaker modality, the stronger one and the whole model (late "
        "fusion), by which weights are perturbed before the gradient is taken; the perturbed "
        "gradient alone is followed. Mean and 95 % Student-t interval over seeds (cut at 0 and "
        "100).",
        "",
        data,
        strong_weak_rows,
        strong_versus_weak,
        strong_versus_weak_alt,
    )


def _named(kind: str, fusion: str, data: str) -> str:
    """File names name the data set, except where it is the embedded one."""
    return "_".join(filter(None, [kind, fusion, "" if data == "digits" else data]))


LATE, MAXOUT = "late fusion", "early fusion (MaxOut)"

ITEMS: dict[str, PaperItem] = {
    item.name: item
    for item in (
        _convergence("late", LATE, "convergence curves, late fusion"),
        _convergence("maxout", MAXOUT, "convergence curves, early fusion"),
        _dominance("late", LATE),
        _dominance("maxout", MAXOUT),
        PaperItem(
            "dominance_per_class",
            "Dominance by class",
            "Share of the dominant modality in the test accuracy by class, late fusion, at the "
            "epoch with the best validation accuracy, mean over seeds. White: the equal share.",
            "",
            "digits",
            fusion_rows("late"),
            class_heatmap,
            class_heatmap_alt,
        ),
        _strong_versus_weak(),
        _table("late", LATE, 1, PAPER_LATE),
        _table("maxout", MAXOUT, 2, PAPER_MAXOUT),
        PaperItem(
            "landscape_late",
            "Loss landscapes",
            "Training loss over one plane of all weights (filter-normalised random directions, the "
            "same for every method), late fusion, embedded data: the surface from two viewpoints, "
            "its contours below. Losses above 4 are cut off.",
            "Figure 1",
            "landscapes",
            lambda frame: frame,
            lambda frame: surfaces(landscapes(frame), ceiling=4.0),
            lambda frame: surfaces_alt(landscapes(frame)),
        ),
        PaperItem(
            "hessian_traces_late",
            "Curvature of each encoder over epochs",
            "Trace of the training loss' Hessian in each modality's encoder over epochs, late "
            "fusion, embedded data (Hutchinson, 10 Rademacher probes, 300 samples, evaluation "
            "mode). Mean and 95 % Student-t interval over seeds.",
            "",
            "digits",
            traced_rows,
            trace_curves,
            trace_alt,
        ),
        _dominance("late", f"{LATE}, AV-MNIST", "avmnist"),
        _strong_versus_weak("avmnist"),
        _table("late", f"{LATE}, AV-MNIST", 1, PAPER_LATE, "avmnist"),
    )
}


def build_all(
    names: Iterable[str] | None = None,
    out: str | os.PathLike[str] = "figures",
    check: bool = False,
) -> list[str]:
    """Draw items from frozen results, or tell which are stale.

    Writes `<name>.pdf`, `.svg` and `.png` for figures, `.md`, `.tex`, `.csv` and `.html` for
    tables, and `manifest.json`. Frozen results are read from `<out>/data` where it has them.

    Args:
        names: which items; by default all whose frozen results are here.
        out: folder of the products.
        check: draw nothing; an item is stale where a product is missing, or where its data or the
            drawing code has changed since it was drawn.

    Returns:
        Names of the items drawn, or (check) of those that are stale.
    """
    return build(ITEMS, names, out, check)
