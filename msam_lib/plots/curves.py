"""Pictures of accuracy over epochs: a panel per method, a line per modality and for the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from msam_lib.plots import series
from msam_lib.plots.style import GREY, palette, panels, styled
from msam_lib.results.frame import reported_epoch
from msam_lib.results.headline import Headline, headline_of
from msam_lib.results.rows import choose, metric_rows, seeds_in_words
from msam_lib.results.summary import summary


@styled
def accuracy_curves(
    frame: pd.DataFrame,
    *,
    labels: Sequence[str] | None = None,
    reference: pd.DataFrame | None = None,
    split: str = "test",
    metric: str = "",
    titles: Mapping[str, str] | None = None,
    columns: int = 4,
) -> Figure:
    """Accuracy (%), or another task's headline metric, over epochs: mean and 95 % Student-t band
    over seeds; all panels on one scale.

    Args:
        frame: tidy rows of one data set and one fusion, all epochs.
        labels: methods to draw, in this order; by default all but unimodal training.
        reference: rows of unimodal training: each modality's own model becomes a dashed line.
        split: where accuracy was measured.
        metric: accuracy, accuracy_head or accuracy_shapley; by default the headline metric
            (accuracy, AUPRC or MAE).
        titles: {label or method: name}.
        columns: panels side by side, at most.

    Raises:
        MsamError: nothing to draw, or rows of several data sets or fusions.
    """
    shown = choose(frame, labels, titles, without=["unimodal"])
    headline = headline_of(frame)
    metric = metric or headline.metric
    picked = _with_fused(frame[frame["label"].isin(shown)], metric, split)
    points = summary(picked, by=["epoch"])
    factor, share = headline.factor, headline.factor == 100
    top = 100 if share else 1.05 * float(points[["mean", "high"]].max().max())
    looks = palette(points["modality"])
    best = unimodal_accuracy(reference, split) if reference is not None else {}
    figure, axes = panels(len(shown), columns=columns, sharex=True, sharey=True)
    # A panel per method; dashed where a modality was trained alone.
    for ax, (label, name) in zip(axes, shown.items(), strict=True):
        curves = points[points["label"] == label]
        for m, look in looks.items():
            if m in best:
                ax.axhline(factor * best[m], color=look.color, lw=0.9, ls=series.DASHED)
            part = curves[curves["modality"] == m]
            if len(part):
                series.line(ax, part, look, name=m, bounds=(0, top), factor=factor)
        ax.set(title=series.wrap(name), ylim=(0, top))
        if share:
            ax.set(yticks=range(0, 101, 25))
        series.count_axis(ax, points["epoch"].max())
    figure.supxlabel("epoch (0: before training)", fontsize=8)
    figure.supylabel(f"{_words(metric)}, {split} split{' (%)' if share else ''}", fontsize=8)
    dashed = Line2D([], [], color=GREY, lw=0.9, ls=series.DASHED)
    series.legend(figure, looks, [("trained alone", dashed)] if best else [])
    return figure


def unimodal_accuracy(reference: pd.DataFrame, split: str = "test") -> dict[str, float]:
    """{modality: accuracy of its own model, mean over seeds} of unimodal training."""
    head = headline_of(reference).measured[1]
    picked = metric_rows(reported_epoch(reference), head, split)
    return picked.groupby("modality")["value"].mean().to_dict()


def curves_alt(
    frame: pd.DataFrame,
    *,
    labels: Sequence[str] | None = None,
    reference: pd.DataFrame | None = None,
    split: str = "test",
    metric: str = "",
    titles: Mapping[str, str] | None = None,
) -> str:
    """What `accuracy_curves` shows, in words, from the same rows."""
    shown = choose(frame, labels, titles, without=["unimodal"])
    headline = headline_of(frame)
    metric, text_of = metric or headline.metric, _text(headline)
    picked = _with_fused(frame[frame["label"].isin(shown)], metric, split)
    # The values at the last epoch, and where drawn, the dashed lines.
    last = summary(picked[picked["epoch"] == picked["epoch"].max()])
    parts = []
    for label, name in shown.items():
        value = last[last["label"] == label].set_index("modality")["mean"]
        by_modality = ", ".join(
            f"{m} {text_of(value[m])}" for m in palette(value.index) if m != "fused"
        )
        parts.append(f"{name}: fused {text_of(value['fused'])} ({by_modality})")
    text = (
        f"{len(shown)} panels of {split} {headline.metric} over {int(frame['epoch'].max())} "
        f"epochs, mean of {seeds_in_words(picked)}. At the end, {'; '.join(parts)}."
    )
    if reference is not None:
        best = unimodal_accuracy(reference, split)
        alone = ", ".join(f"{m} {text_of(best[m])}" for m in palette(best))
        text += f" Dashed lines: models trained on one modality alone reach {alone}."
    return text


def _with_fused(frame: pd.DataFrame, metric: str, split: str) -> pd.DataFrame:
    """The rows of a metric, with those of the fused accuracy, which has only one definition."""
    picked = metric_rows(frame, metric, split)
    usual = headline_of(frame).metric
    if metric == usual:
        return picked
    fused = frame[(frame["modality"] == "fused") & (frame["metric"] == usual)]
    return pd.concat([picked, fused[fused["split"] == split].assign(metric=metric)])


def _text(headline: Headline) -> Callable[[float], str]:
    """How values are written: whole percent, or an error with its decimals."""
    return series.percent if headline.factor == 100 else headline.text


def _words(metric: str) -> str:
    return metric.replace("_", " of ", 1) if "_" in metric else metric
