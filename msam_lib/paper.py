"""The registry of every figure and table that this project regenerates, and their building.

Products are drawn from frozen results (`figures/data`) alone. `manifest.json` records from which
data and with which code, so `build_all(check=True)` finds stale ones without drawing. No torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from msam_lib.geometry import landscapes
from msam_lib.paper_costs import ITEM as COSTS
from msam_lib.paper_items import PaperItem, convergence, dominance, perturbed, table
from msam_lib.paper_methods import ITEMS as METHODS
from msam_lib.paper_paired import ITEMS as PAIRED
from msam_lib.paper_tables import PAPER
from msam_lib.plots import (
    class_heatmap,
    class_heatmap_alt,
    contribution_alt,
    contribution_curves,
)
from msam_lib.plots.curvature import trace_alt, trace_curves
from msam_lib.plots.landscape import surfaces, surfaces_alt
from msam_lib.plots.sharpness import sharpness_against_gap, sharpness_alt
from msam_lib.products import build
from msam_lib.search_results import ITEM as SEARCH
from msam_lib.selection import fusion_rows, method_rows, traced_rows
from msam_lib.sharpness_results import correlations, gaps

LATE, MAXOUT = "late fusion", "early fusion (MaxOut)"

ITEMS: dict[str, PaperItem] = {
    item.name: item
    for item in (
        convergence("late", LATE, "convergence curves, late fusion"),
        convergence("maxout", MAXOUT, "convergence curves, early fusion"),
        dominance("late", LATE),
        dominance("maxout", MAXOUT),
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
        perturbed(),
        table("late", LATE, 1, PAPER["late"]),
        table("maxout", MAXOUT, 2, PAPER["maxout"]),
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
        PaperItem(
            "sharpness_against_gap_late",
            "Sharpness against the generalisation gap",
            "Five measures of sharpness of the fused training loss, in each modality's encoder and "
            "in all weights (fused), against the normalised generalisation gap, "
            "late fusion, embedded data; one point per run. τ: Kendall's rank correlation over the "
            "runs of all methods for all weights, with its 95 % bootstrap interval.",
            "",
            "sharpness",
            gaps,
            lambda rows: sharpness_against_gap(rows, correlations(rows)),
            lambda rows: sharpness_alt(rows, correlations(rows)),
        ),
        dominance("late", f"{LATE}, AV-MNIST", "avmnist"),
        perturbed("avmnist"),
        PaperItem(
            "dominance_maxout_avmnist",
            "Dominance over epochs on real pairs, early fusion",
            "Each modality's share of the test accuracy (Shapley values) over epochs, AV-MNIST, "
            "early fusion (MaxOut), preset teach. Dashed: the equal share. Mean and 95 % Student-t "
            "interval over seeds.",
            "",
            "methods_avmnist",
            method_rows("maxout", ("joint", "masam", "msam", "msam:reading=encoder")),
            contribution_curves,
            contribution_alt,
        ),
        *METHODS,
        *PAIRED,
        SEARCH,
        COSTS,
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
