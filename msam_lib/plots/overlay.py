"""Accuracy or shares over epochs, a handful of methods in one panel, one panel per modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.errors import MsamError
from msam_lib.plots import series
from msam_lib.plots._labels import label_ends
from msam_lib.plots.style import GREY, TEXT_WIDTH, Look, modality_order, styled
from msam_lib.results.findings import ending
from msam_lib.results.headline import headline_of
from msam_lib.results.rows import choose, metric_rows, seeds_in_words
from msam_lib.results.summary import summary

# Colour, marker and width of the k-th method: apart in colour, in grey and without either.
LOOKS = (
    Look("#222222", "o", 1.2),
    Look("#0072B2", "s", 1.2),
    Look("#E69F00", "^", 1.2),
    Look("#009E73", "v", 1.2),
    Look("#D55E00", "D", 2.0),
)
MOST = len(LOOKS)


@styled
def overlaid_curves(
    frame: pd.DataFrame,
    labels: Sequence[str],
    *,
    metric: str = "",
    split: str = "test",
    modalities: Sequence[str] | None = None,
    equal: bool = False,
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """A panel per modality and one for the whole model, in each a line per method with its 95 %
    Student-t band over seeds, named at its end. Titles say which methods end clearly above or below
    joint training.

    A panel begins at the lowest value after the first sixth of the epochs: below, all methods rise
    alike.

    Args:
        frame: tidy rows of one data set and one fusion, all epochs.
        labels: methods, at most five, in drawing order (the last one on top and thicker).
        metric: what is drawn; by default the headline metric (accuracy, AUPRC or MAE).
        split: where it was measured.
        modalities: panels, from top to bottom; by default all, the whole model last.
        equal: draw the equal share of the modalities as a dashed line.
        titles: {label or method: name}.

    Raises:
        MsamError: no label, or too many; an unknown one; rows of several data sets or fusions.
    """
    if not 1 <= len(labels) <= MOST:
        raise MsamError(f"{len(labels)} methods in one panel; give 1 to {MOST}.")
    names = choose(frame, labels, titles)
    headline = headline_of(frame)
    metric = metric or headline.metric
    picked = metric_rows(frame[frame["label"].isin(names)], metric, split)
    points = summary(picked, by=["epoch"])
    there = [m for m in modality_order(picked["modality"]) if modalities is None or m in modalities]
    factor = headline.factor if metric == headline.metric else 100
    height = 1.45 if len(there) > 1 else 2.2
    figure = Figure(figsize=(TEXT_WIDTH, height * len(there) + 0.35), layout="constrained")
    axes = figure.subplots(len(there), squeeze=False, sharex=True).ravel()
    last = int(points["epoch"].max())
    for ax, m in zip(axes, there, strict=True):
        rows = points[points["modality"] == m]
        late = rows[rows["epoch"] >= last / 6]
        low, high = factor * late["mean"].min(), factor * late[["mean", "high"]].max().max()
        space = 0.06 * (high - low)
        ends = {}
        for label, look in zip(names, LOOKS[-len(names) :], strict=True):
            part = rows[rows["label"] == label].sort_values("epoch")
            series.line(ax, part, look, name=names[label], factor=factor, clip_on=True)
            ends[names[label]] = (factor * float(part["mean"].iloc[-1]), look.color)
        if equal:
            share = factor / (picked["modality"].nunique())
            ax.axhline(share, color=GREY, lw=0.9, ls=series.DASHED)
            low, high = min(low, share), max(high, share)
        ax.set_ylim(low - space, high + space)
        series.count_axis(ax, last)
        ax.set_xlim(0, 1.012 * last)  # whole markers at the end
        label_ends(ax, ends, gap=0.16 / height)
        said = ending(picked[picked["modality"] == m], names)
        name = panel_name(m, metric)
        ax.set_title(f"{name}: {said}" if said else name, loc="left")
    words = metric.replace("_", " of ", 1)
    share_of = f"share of the {headline.metric}" if metric == "contribution" else words
    unit = " (%)" if factor == 100 else ""
    figure.supylabel(f"{split} {share_of}{unit}", fontsize=8)
    axes[-1].set_xlabel("epoch")
    return figure


def panel_name(modality: str, metric: str = "") -> str:
    """How the panel of a modality, or of the whole model, is called."""
    name = "whole model" if modality == "fused" else modality
    return f"share of {name}" if metric == "contribution" else name


def overlaid_alt(
    frame: pd.DataFrame,
    labels: Sequence[str],
    *,
    metric: str = "",
    split: str = "test",
    modalities: Sequence[str] | None = None,
) -> str:
    """What `overlaid_curves` shows, in words, from the same rows."""
    names = choose(frame, labels)
    headline = headline_of(frame)
    usual = not metric or metric == headline.metric
    picked = metric_rows(frame[frame["label"].isin(names)], metric or headline.metric, split)
    last = summary(picked[picked["epoch"] == picked["epoch"].max()])
    text_of = headline.text if usual and headline.factor != 100 else series.percent
    parts = []
    for m in modality_order(picked["modality"]):
        if modalities is not None and m not in modalities:
            continue
        value = last[last["modality"] == m].set_index("label")["mean"]
        listed = ", ".join(f"{name} {text_of(value[k])}" for k, name in names.items() if k in value)
        said = ending(picked[picked["modality"] == m], names)
        parts.append(f"{panel_name(m, metric)}: {listed}" + (f" ({said})" if said else ""))
    return (
        f"{split[0].upper()}{split[1:]} {(metric or headline.metric)} over "
        f"{int(picked['epoch'].max())} epochs, mean of {seeds_in_words(picked)}. At the end, "
        f"{'; '.join(parts)}."
    )
