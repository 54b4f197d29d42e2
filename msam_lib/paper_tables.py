"""The tables of all methods, one per data set and fusion."""

from __future__ import annotations

import pandas as pd

from msam_lib.paper_items import WORDS, PaperItem
from msam_lib.plots import Table, results_table, table_alt
from msam_lib.search_results import search_told
from msam_lib.selection import fusion_rows

# Multimodal accuracies on AV-MNIST as the M-SAM paper (arXiv 2510.24919) gives them in its Tables 1
# and 2, in percent. It gives neither seeds nor spread.
PAPER = {
    "late": {"joint": 68.41, "sam": 73.17, "reconboost": 73.59, "msam": 74.08},
    "maxout": {"joint": 71.15, "sam": 73.22, "cggm": 73.11, "msam": 74.48},
}


def methods_table(dataset: str, fusion: str) -> PaperItem:
    """All methods on one data set under one fusion."""
    paper = PAPER[fusion] if dataset == "avmnist" else None
    number = {"late": 1, "maxout": 2}[fusion]
    trials, notes = search_told(dataset, fusion)
    if paper:
        notes = ["The paper's numbers belong to other networks and sizes.", *notes]
    caption = (
        f"All methods on {dataset}, {WORDS[fusion]}, preset teach: test accuracy in percent, mean "
        "± half-width of the 95 % Student-t interval over seeds, at the epoch with the best "
        "validation accuracy; learning rate and main option chosen on the validation split with "
        f"{trials}. Modality columns: all other modalities absent; "
        "(shapley): AGM's definition, the Shapley combination of logits. Unimodal: separate "
        "models. Bold: best; underlined: second."
    )

    def draw(rows: pd.DataFrame) -> Table:
        return results_table(
            rows,
            paper=paper,
            paper_title="paper, AV-MNIST",
            second="accuracy_shapley",
            caption=caption,
            notes=notes,
        )

    return PaperItem(
        f"table_methods_{fusion}_{dataset}",
        f"All methods on {dataset}, {WORDS[fusion]}",
        caption,
        f"Table {number}" if dataset == "avmnist" else "",
        f"methods_{dataset}",
        fusion_rows(fusion),
        draw,
        lambda rows: table_alt(draw(rows)),
    )
