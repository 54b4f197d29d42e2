"""What a figure or table of the registry is, and the kinds that come once per fusion or data
set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.plots import (
    Table,
    accuracy_curves,
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
from msam_lib.plots.names import radii
from msam_lib.selection import alone, fusion_rows, strong_weak_rows, with_reference

Product = Figure | Table
WORDS = {"late": "late fusion", "maxout": "early fusion (MaxOut)"}


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


def comparison_name(dataset: str, fusion: str) -> str:
    """What a comparison is called in a column head.

    >>> comparison_name("avmnist", "maxout")
    'avmnist, early'
    """
    return f"{dataset}, {'early' if fusion == 'maxout' else fusion}"


def convergence(fusion: str, words: str, figure: str) -> PaperItem:
    """Accuracy over epochs on the embedded data."""
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


def dominance(fusion: str, words: str, data: str = "digits") -> PaperItem:
    """Shares of the modalities over epochs."""
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


def table(
    fusion: str, words: str, number: int, paper: dict[str, float], data: str = "digits"
) -> PaperItem:
    """Accuracies of every method beside the paper's."""
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


def perturbed(data: str = "digits") -> PaperItem:
    """The strong-versus-weak comparison."""
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
