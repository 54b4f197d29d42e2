"""What M-SAM's shares depend on: features of an evaluation pass or of the training pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from msam_lib.catalogue import FUSIONS
from msam_lib.errors import MsamError
from msam_lib.plots.series import COLORS, DASHED
from msam_lib.plots.style import panels, styled

SPAN = 10  # steps that are averaged
WORDS = {
    "share_gap": "mean difference of the shares (points)",
    "other_dominant": "steps with another dominant modality (%)",
}


@styled
def feature_gap(frame: pd.DataFrame) -> Figure:
    """How far the two measurements of the shares are apart over the steps of a training, a panel
    per fusion: the mean over seeds, averaged over ten steps, with the range of the seeds.

    Args:
        frame: rows with columns fusion, seed, step, metric (`share_gap`, `other_dominant`; in
            [0, 1]) and value.

    Raises:
        MsamError: no rows.
    """
    if frame.empty:
        raise MsamError("No rows to draw: run benchmarks/shares_of_features.py --freeze first.")
    fusions = list(dict.fromkeys(frame["fusion"]))
    figure, axes = panels(len(fusions), columns=2, aspect=0.6, sharey=True)
    for ax, fusion in zip(axes, fusions, strict=True):
        rows = frame[frame["fusion"] == fusion]
        for k, (metric, words) in enumerate(WORDS.items()):
            curves = smoothed(rows[rows["metric"] == metric])
            style = DASHED if k else "-"
            ax.plot(curves.index, curves.mean(axis=1), color=COLORS[k], ls=style, label=words)
            low, high = curves.min(axis=1), curves.max(axis=1)
            ax.fill_between(curves.index, low, high, color=COLORS[k], alpha=0.15, lw=0)
        ax.set(title=FUSIONS[fusion].words, xlabel="step", ylim=(0, 100))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def smoothed(rows: pd.DataFrame) -> pd.DataFrame:
    """Percent, averaged over ten steps: a row per step, a column per seed."""
    wide = 100 * rows.pivot_table(index="step", columns="seed", values="value")
    return wide.rolling(SPAN, min_periods=1).mean()


def feature_gap_alt(frame: pd.DataFrame) -> str:
    """What `feature_gap` shows, in words: the first twenty steps and the last half."""
    parts = []
    for fusion, rows in frame.groupby("fusion", sort=False):
        half = rows["step"].max() / 2
        for words, chosen in (
            ("the first 20 steps", rows["step"] < 20),
            ("the last half", rows["step"] > half),
        ):
            mean = 100 * rows[chosen].groupby("metric")["value"].mean()
            values = [f"{np.round(mean[m]):.0f}" for m in WORDS]
            parts.append(
                f"{FUSIONS[str(fusion)].words}, {words}: {values[0]} points apart, another "
                f"dominant modality in {values[1]} % of the steps"
            )
    return f"Shares from evaluation and from training features. {'; '.join(parts)}."
