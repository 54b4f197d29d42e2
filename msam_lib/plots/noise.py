"""How dominance turns with the noise of one modality."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

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
        mark: a noise to point at.
        xlabel: what the noise is.
    """
    noises = sorted(shares)
    looks = palette(next(iter(shares.values())))
    figure, (ax,) = panels(1)
    for m, look in looks.items():
        values = [100 * shares[x][m] for x in noises]
        ax.plot(noises, values, color=look.color, marker=look.marker, label=m)
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
