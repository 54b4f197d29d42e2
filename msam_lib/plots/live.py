"""Pictures of a training in progress: loss, accuracies and contributions of one run so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msam_lib.plots.series import DASHED, count_axis, legend, percent
from msam_lib.plots.style import GREY, palette, panels, styled
from msam_lib.results.headline import headline_of


@styled
def live_picture(
    frame: pd.DataFrame, losses: Sequence[tuple[int, float]] = (), *, epochs: int | None = None
) -> Figure:
    """Loss by step, test accuracy (%; of another task its headline metric) and contribution (%) by
    epoch, of one run that may be going.

    Args:
        frame: columns epoch, split, modality, metric, value; may be empty.
        losses: (step, training loss in nats) pairs; by default the epochs' means in the frame.
        epochs: how many there will be; the last one so far by default.
    """
    figure, axes = panels(3, columns=3, aspect=0.85)
    test = frame[frame["split"] == "test"]
    names = [m for m in test["modality"].unique() if m != "fused"]
    looks = palette([*names, "fused"])
    last = max(1, epochs or int(frame["epoch"].max() if len(frame) else 1))
    # Without losses of single steps the logged means of the epochs are drawn.
    if not len(losses):
        mean = frame[(frame["split"] == "step") & (frame["metric"] == "loss")]
        losses = list(zip(mean["step"], mean["value"], strict=True)) if len(mean) else []
    _loss(axes[0], losses)
    headline = headline_of(test)
    for ax, metric in zip(axes[1:], (headline.metric, "contribution"), strict=True):
        factor = 100 if metric == "contribution" else headline.factor
        for m, look in looks.items():
            part = test[(test["metric"] == metric) & (test["modality"] == m)]
            if len(part):
                style = {"color": look.color, "marker": look.marker, "lw": look.width}
                ax.plot(part["epoch"], factor * part["value"], ms=look.size - 1, **style)
        ax.set(xlabel="epoch")
        if factor == 100:
            ax.set(ylim=(0, 100), yticks=range(0, 101, 25))
        else:
            ax.set_ylim(bottom=0)
        count_axis(ax, last)
    if names:
        axes[2].axhline(100 / len(names), color=GREY, lw=0.9, ls=DASHED)
    axes[1].set_title(f"test {headline.title}")
    axes[2].set_title("contribution (%)")
    legend(figure, looks)
    return figure


def _loss(ax: Axes, losses: Sequence[tuple[int, float]], window: int = 20) -> None:
    """Draw the loss of every step in grey and its running mean over `window` steps in black."""
    ax.set(title="training loss", xlabel="step")
    if not losses:
        return
    steps, values = np.array([s for s, _ in losses]), np.array([v for _, v in losses])
    ax.plot(steps, values, color="#B5B5B5", lw=0.6)
    if len(values) >= window:
        smooth = np.convolve(values, np.ones(window) / window, "valid")
        ax.plot(steps[window - 1 :], smooth, color="#222222", lw=1.6)
    ax.set_ylim(0, 1.05 * float(values.max()))
    count_axis(ax, max(1, int(steps[-1])))


def leading(frame: pd.DataFrame) -> tuple[str, float]:
    """(modality, share) of the largest contribution on the test split in the last epoch;
    ("", nan) before anything was measured.
    """
    rows = frame[(frame["split"] == "test") & (frame["metric"] == "contribution")]
    if rows.empty:
        return "", float("nan")
    share = rows[rows["epoch"] == rows["epoch"].max()].set_index("modality")["value"]
    return str(share.idxmax()), float(share.max())


def live_alt(frame: pd.DataFrame) -> str:
    """What `live_picture` shows, in words."""
    if frame.empty:
        return "Three empty panels: nothing has been measured yet."
    headline = headline_of(frame)
    rows = frame[(frame["split"] == "test") & (frame["metric"] == headline.metric)]
    epoch = int(rows["epoch"].max())
    value = rows[rows["epoch"] == epoch].set_index("modality")["value"]
    text_of = percent if headline.factor == 100 else headline.text
    reached = ", ".join(f"{m} {text_of(value[m])}" for m in palette(value.index))
    modality, share = leading(frame)
    return (
        f"After epoch {epoch}: test {headline.metric} {reached}. "
        f"{modality} contributes most, {percent(share)}."
    )
