"""The strong-versus-weak figure: what happens to each modality when one encoder is perturbed."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.errors import MsamError
from msam_lib.plots import series
from msam_lib.plots.style import GREY, figure_size, palette, styled
from msam_lib.results.rows import choose, metric_rows, one_epoch_per_run, roles, seeds_in_words
from msam_lib.results.summary import summary


@styled
def strong_versus_weak(
    frame: pd.DataFrame,
    *,
    perturbed: Mapping[str, str] | None = None,
    split: str = "test",
    baseline: str | None = None,
) -> Figure:
    """Accuracy (%) of the weaker modality, the stronger one and the whole model, by what was
    perturbed: a dot per seed, the mean and its 95 % Student-t interval.

    Args:
        frame: tidy rows of one data set and one fusion.
        perturbed: {label: what was perturbed}, top to bottom; found from the labels by default.
        split: where accuracy was measured.
        baseline: label whose accuracies say which modality is the weaker one; by default the first
            of `perturbed`.
    """
    shown, picked = _picked(frame, perturbed, split)
    weak, strong = extremes(picked, baseline or next(iter(shown)))
    parts = {f"weaker modality: {weak}": weak, f"stronger modality: {strong}": strong}
    parts["both together" if picked["modality"].nunique() == 3 else "all together"] = "fused"
    looks = palette(picked["modality"])
    means = summary(picked).set_index(["modality", "label"])  # in [0, 1]
    width, _ = figure_size()
    figure = Figure(figsize=(width, 0.75 + 0.3 * len(shown)), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    for ax, (title, m) in zip(axes, parts.items(), strict=True):
        look = looks[m]
        for y, label in enumerate(shown):
            # Hollow markers for the seeds just below the label's line; mean and interval above it.
            rows = picked[(picked["modality"] == m) & (picked["label"] == label)]
            ax.plot(
                100 * rows["value"],
                [y + 0.2] * len(rows),
                ls="",
                marker=look.marker,
                ms=0.75 * look.size,
                color=look.color,
                mfc="none",
                mew=0.8,
            )
            mean = means.loc[(m, label)]
            low, high = max(0.0, 100 * mean["low"]), min(100.0, 100 * mean["high"])
            if mean["n"] > 1:
                ax.plot([low, high], [y - 0.12] * 2, color=look.color, lw=1.6)
            ax.plot(
                100 * mean["mean"],
                y - 0.12,
                marker=look.marker,
                ms=1.1 * look.size,
                color=look.color,
            )
        ax.set(title=title, xlim=(0, 100), xticks=range(0, 101, 25))
        ax.grid(axis="x", visible=True)
        ax.tick_params(axis="y", length=0)
    # All panels share the labels of what was perturbed, the first on top.
    axes[0].set_yticks(range(len(shown)), list(shown.values()))
    axes[0].set_ylim(len(shown) - 0.5, -0.5)
    axes[0].set_ylabel("perturbed")
    figure.supxlabel(
        f"{split} accuracy (%); hollow: single seeds, filled: mean with 95 % interval",
        fontsize=8,
        color=GREY,
    )
    return figure


def strong_versus_weak_alt(frame: pd.DataFrame, *, split: str = "test") -> str:
    """What `strong_versus_weak` shows, in words, from the same rows."""
    shown, picked = _picked(frame, None, split)
    weak, strong = extremes(picked, next(iter(shown)))
    means = picked.groupby(["modality", "label"])["value"].mean()
    words = "; ".join(
        f"{what} {series.percent(means[weak, label])}, {series.percent(means[strong, label])} and "
        f"{series.percent(means['fused', label])}"
        for label, what in shown.items()
    )
    return (
        f"Three panels of {split} accuracy by what was perturbed, {seeds_in_words(picked)}. "
        f"The weaker modality ({weak}), the stronger ({strong}) and the whole model, with what was "
        f"perturbed: {words}."
    )


def extremes(rows: pd.DataFrame, label: str) -> tuple[str, str]:
    """(weakest, strongest) modality by the mean accuracy under `label`."""
    alone = rows[(rows["label"] == label) & (rows["modality"] != "fused")]
    means = alone.groupby("modality")["value"].mean()
    return str(means.idxmin()), str(means.idxmax())


def _picked(
    frame: pd.DataFrame, perturbed: Mapping[str, str] | None, split: str
) -> tuple[dict[str, str], pd.DataFrame]:
    """({label: what was perturbed}, rows of their accuracies), one epoch of each run."""
    shown = dict(perturbed or roles(list(frame["label"].unique())))
    if len(shown) < 2:
        raise MsamError(
            "Fewer than two runs to compare. Needed: joint, sam, and msam with reading='encoder', "
            "mixing=1.0 and target='dominant' or 'weakest' (see experiments.suite)."
        )
    choose(frame, list(shown))  # raises where rows of several data sets or fusions are mixed
    picked = one_epoch_per_run(frame[frame["label"].isin(shown)])
    return shown, metric_rows(picked, "accuracy", split)
