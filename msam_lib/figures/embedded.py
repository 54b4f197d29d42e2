"""Figures of the suite on the default data set (curves, landscapes, curvature), and some of them on
AV-MNIST.
"""

from __future__ import annotations

from msam_lib.catalogue import DEFAULT_DATASET, FUSIONS
from msam_lib.figures.item import FigureItem
from msam_lib.figures.tables import paper_table
from msam_lib.plots import (
    accuracy_curves,
    class_heatmap,
    class_heatmap_alt,
    contribution_alt,
    contribution_curves,
    curves_alt,
    strong_versus_weak,
    strong_versus_weak_alt,
)
from msam_lib.plots.curvature import trace_alt, trace_curves
from msam_lib.plots.landscape import VIEWS, surfaces, surfaces_alt
from msam_lib.plots.sharpness import sharpness_against_gap, sharpness_alt
from msam_lib.results.landscape import landscapes
from msam_lib.results.rows import (
    alone,
    fusion_rows,
    method_rows,
    strong_weak_rows,
    traced_rows,
    with_reference,
)
from msam_lib.results.sharpness import correlations, gaps


def convergence(fusion: str, figure: str) -> FigureItem:
    """The figure of accuracies over epochs on the default data set.

    Args:
        fusion: late or maxout.
        figure: the paper's figure that it answers to.
    """
    words = FUSIONS[fusion].words
    return FigureItem(
        name=f"convergence_{fusion}",
        title=f"Accuracy over epochs, {words}",
        caption=f"Test accuracy over epochs on {DEFAULT_DATASET}, {words}: each modality while the "
        "others are absent, and the whole model. Dashed: models trained on one modality alone, at "
        "their best validation epoch. Mean and 95 % Student-t interval over seeds (cut at 0 and "
        "100).",
        paper_reference=figure,
        needs=DEFAULT_DATASET,
        select=with_reference(fusion),
        draw=lambda rows: accuracy_curves(rows, reference=alone(rows)),
        describe=lambda rows: curves_alt(rows, reference=alone(rows)),
    )


def dominance(fusion: str, data: str = DEFAULT_DATASET) -> FigureItem:
    """The figure of the modalities' shares over epochs, on the named data set."""
    words = FUSIONS[fusion].words + (", AV-MNIST" if data == "avmnist" else "")
    return FigureItem(
        name=_name("dominance", fusion, data),
        title=f"Contributions over epochs, {words}",
        caption="Each modality's share of the test accuracy (Shapley values) over epochs on "
        f"{data}, {words}. Dashed: the equal share. Mean and 95 % Student-t interval over seeds "
        "(cut at 0 and 100).",
        needs=data,
        select=fusion_rows(fusion),
        draw=contribution_curves,
        describe=contribution_alt,
    )


def perturbed(data: str = DEFAULT_DATASET) -> FigureItem:
    """The figure of the strong-versus-weak comparison, on the named data set."""
    return FigureItem(
        name=_name("strong_versus_weak", "", data),
        title="Perturbing the strong or the weak encoder",
        caption="Test accuracy of the weaker modality, the stronger one and the whole model (late "
        f"fusion, {data}), by which weights are perturbed before the gradient is taken; the "
        "perturbed gradient alone is followed. Mean and 95 % Student-t interval over seeds (cut at "
        "0 and 100).",
        needs=data,
        select=strong_weak_rows,
        draw=strong_versus_weak,
        describe=strong_versus_weak_alt,
    )


def _name(kind: str, fusion: str, data: str) -> str:
    """The name of an item; it names the data set, except where it is the default."""
    return "_".join(filter(None, [kind, fusion, "" if data == DEFAULT_DATASET else data]))


ITEMS = (
    convergence("late", "convergence curves, late fusion"),
    convergence("maxout", "convergence curves, early fusion"),
    dominance("late"),
    dominance("maxout"),
    FigureItem(
        name="dominance_per_class",
        title="Dominance by class",
        caption="Share of the dominant modality in the test accuracy by class, late fusion, "
        f"{DEFAULT_DATASET}, at the epoch with the best validation accuracy, mean over seeds. "
        "White: the equal share.",
        needs=DEFAULT_DATASET,
        select=fusion_rows("late"),
        draw=class_heatmap,
        describe=class_heatmap_alt,
    ),
    perturbed(),
    paper_table("late"),
    paper_table("maxout"),
    FigureItem(
        name="landscape_late",
        title="Loss landscapes at the preset's learning rate",
        caption="Training loss over one plane of all weights (filter-normalised random directions, "
        "the same for every method), late fusion, "
        f"{DEFAULT_DATASET}, preset teach: the surface, its contours below. Losses above 4 are "
        "cut off.",
        paper_reference="Figure 1",
        needs="landscapes",
        draw=lambda frame: surfaces(landscapes(frame), ceiling=4.0, views=VIEWS[:1]),
        describe=lambda frame: surfaces_alt(landscapes(frame)),
    ),
    FigureItem(
        name="hessian_traces_late",
        title="Curvature of each encoder over epochs",
        caption="Trace of the training loss' Hessian in each modality's encoder over epochs, late "
        f"fusion, {DEFAULT_DATASET} (Hutchinson, 10 Rademacher probes, 300 samples, evaluation "
        "mode). Mean and 95 % Student-t interval over seeds.",
        needs=DEFAULT_DATASET,
        select=traced_rows,
        draw=trace_curves,
        describe=trace_alt,
    ),
    FigureItem(
        name="sharpness_against_gap_late",
        title="Sharpness against the generalisation gap",
        caption="Five measures of sharpness of the fused training loss, in each modality's encoder "
        "and in all weights (fused), against the normalised generalisation gap, "
        f"late fusion, {DEFAULT_DATASET}; one point per run. τ: Kendall's rank correlation over "
        "the runs of all methods for all weights, with its 95 % bootstrap interval.",
        needs="sharpness",
        select=gaps,
        draw=lambda rows: sharpness_against_gap(rows, correlations(rows)),
        describe=lambda rows: sharpness_alt(rows, correlations(rows)),
    ),
    dominance("late", "avmnist"),
    perturbed("avmnist"),
    FigureItem(
        name="dominance_maxout_avmnist",
        title="Dominance over epochs on real pairs, early fusion",
        caption="Each modality's share of the test accuracy (Shapley values) over epochs, "
        "AV-MNIST, early fusion (MaxOut), preset teach. Dashed: the equal share. Mean and 95 % "
        "Student-t interval over seeds.",
        needs="methods_avmnist",
        select=method_rows("maxout", ("joint", "masam", "msam", "msam:reading=encoder")),
        draw=contribution_curves,
        describe=contribution_alt,
    ),
)
