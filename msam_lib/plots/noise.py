"""Pictures of disturbed modalities: dominance as one gets noisier, accuracy as one is disturbed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from msam_lib.plots import series
from msam_lib.plots.style import GREY, palette, panels, styled


@styled
def share_against_noise(
    shares: Mapping[float, Mapping[str, float]],
    *,
    mark: float | None = None,
    xlabel: str = "standard deviation of the noise on the image",
) -> Figure:
    """Each modality's share of the accuracy (%) against the noise added to one of them.

    Args:
        shares: {noise: {modality: share in [0, 1]}}.
        mark: one of the noises, marked in the picture.
        xlabel: what the noise is.
    """
    noises = sorted(shares)
    looks = palette(next(iter(shares.values())))
    figure, (ax,) = panels(1)
    for m, look in looks.items():
        values = [100 * shares[x][m] for x in noises]
        ax.plot(noises, values, color=look.color, marker=look.marker, label=m)
        # A large marker with its value at the marked noise.
        if mark is not None:
            ax.plot(mark, 100 * shares[mark][m], look.marker, color=look.color, ms=11, mec="black")
            ax.annotate(
                f"{100 * shares[mark][m]:.0f} %",
                (mark, 100 * shares[mark][m]),
                textcoords="offset points",
                xytext=(0, 9),
                ha="center",
            )
    ax.axhline(100 / len(looks), color=GREY, lw=0.9, ls="--")
    ax.set(
        xlabel=xlabel, ylabel="share of the accuracy (%)", ylim=(0, 110), yticks=range(0, 101, 25)
    )
    ax.legend(loc="upper center", ncols=len(looks), bbox_to_anchor=(0.5, 1.18), frameon=False)
    return figure


@styled
def robustness_curves(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    x: Sequence[float],
    *,
    xlabel: str,
    ylabel: str = "test accuracy (%)",
) -> Figure:
    """Accuracy (%) against the strength of a disturbance: a panel per disturbed modality, a line
    per method.

    Args:
        curves: {panel: {method: accuracies in [0, 1], one per strength}}.
        x: the strengths.
        xlabel, ylabel: what the axes are.
    """
    figure, axes = panels(len(curves), columns=3, aspect=0.85, sharey=True)
    lines = {}
    for ax, (title, by_method) in zip(axes, curves.items(), strict=True):
        for k, (method, values) in enumerate(by_method.items()):
            shown = [100 * v for v in values]
            (lines[method],) = ax.plot(x, shown, ms=4, mec="white", mew=0.4, **series.cycled(k))
        ax.set(title=title, xlabel=xlabel, ylim=(0, 102), yticks=range(0, 101, 25))
    axes[0].set_ylabel(ylabel)
    figure.legend(
        list(lines.values()), list(lines), loc="outside upper center", ncols=min(5, len(lines))
    )
    return figure
