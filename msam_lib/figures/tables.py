"""The tables of results: the paper's methods on the default data set, all methods on every one."""

from __future__ import annotations

import pandas as pd

from msam_lib.catalogue import DEFAULT_DATASET, FUSIONS
from msam_lib.figures.item import FigureItem
from msam_lib.figures.published import PUBLISHED, TABLES, TITLE
from msam_lib.figures.search import describe_search
from msam_lib.labels import Comparison
from msam_lib.plots import Table, results_table, table_alt
from msam_lib.results.frozen import outdated
from msam_lib.results.headline import headline_of, in_words
from msam_lib.results.rows import fusion_rows

ABSENT = {"Unimodal": "needs per-modality logits, which MaxOut does not have"}


def paper_table(fusion: str) -> FigureItem:
    """The table of the paper's methods on the default data set, beside the paper's numbers."""
    words = FUSIONS[fusion].words
    caption = (
        f"Test accuracy in percent on {DEFAULT_DATASET}, {words}, mean ± half-width of the 95 % "
        "Student-t interval over seeds, at the epoch with the best validation accuracy. Modality "
        "columns: all other modalities absent; in the row Unimodal, separate models. Bold: best; "
        "underlined: second."
    )

    def draw(rows: pd.DataFrame) -> Table:
        return results_table(
            rows,
            paper=PUBLISHED[fusion],
            paper_title=TITLE,
            missing=ABSENT if fusion == "maxout" else None,
            caption=caption,
            notes=[
                "The last column repeats the paper's numbers on AV-MNIST, given there without "
                "seeds or intervals: larger networks on ten times as many pairs, not comparable "
                "with the rest."
            ],
        )

    return FigureItem(
        name=f"table_{fusion}",
        title=f"Results, {words}",
        caption=caption,
        paper_reference=TABLES[fusion],
        needs=DEFAULT_DATASET,
        select=fusion_rows(fusion),
        draw=draw,
        describe=lambda rows: table_alt(draw(rows)),
    )


def since(rows: pd.DataFrame) -> list[str]:
    """A note on the methods that have been corrected since these rows were measured."""
    names = ", ".join(outdated(rows))
    note = f"Measured before a correction (see CHANGELOG), not yet measured again: {names}."
    return [note] if names else []


def methods_table(where: Comparison) -> FigureItem:
    """The table of all methods on one data set under one fusion."""
    # The paper has numbers for AV-MNIST only.
    published = PUBLISHED[where.fusion] if where.dataset == "avmnist" else None
    words = FUSIONS[where.fusion].words

    def searched(rows: pd.DataFrame, search: pd.DataFrame) -> tuple[str, list[str]]:
        """Of the methods of the table; others may have an older search."""
        return describe_search(search[search["label"].isin(rows["label"])], where)

    def caption(rows: pd.DataFrame, search: pd.DataFrame) -> str:
        headline = headline_of(rows)
        accuracy = headline.metric == "accuracy"
        metric = "accuracy in percent" if accuracy else in_words({where.dataset: headline})
        return (
            f"All methods on {where.dataset}, {words}, preset teach: test {metric}, "
            "mean ± half-width of the 95 % Student-t interval over seeds, at the epoch with the "
            f"best validation {headline.metric}; learning rate and main option chosen on the "
            f"validation split with {searched(rows, search)[0]}. Modality columns: all "
            "other modalities absent; (shapley): AGM's definition, the Shapley combination of "
            "logits. Unimodal: separate models. Bold: best; underlined: second."
        )

    def draw(rows: pd.DataFrame, search: pd.DataFrame) -> Table:
        notes = searched(rows, search)[1] + since(rows)
        if published:
            notes = ["The paper's numbers belong to other networks and sizes.", *notes]
        return results_table(
            rows,
            paper=published,
            paper_title=TITLE,
            second="shapley",
            caption=caption(rows, search),
            notes=notes,
        )

    return FigureItem(
        name=f"table_methods_{where.fusion}_{where.dataset}",
        title=f"All methods on {where.dataset}, {words}",
        caption=caption,
        paper_reference=TABLES[where.fusion] if where.dataset == "avmnist" else "",
        needs=f"methods_{where.dataset}",
        beside=("search",),
        select=fusion_rows(where.fusion),
        draw=draw,
        describe=lambda rows, search: table_alt(draw(rows, search)),
    )
