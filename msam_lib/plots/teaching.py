"""Pictures of the course: coalitions, a descent in one dimension, the vectors of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from msam_lib.errors import MsamError
from msam_lib.plots.style import GREY, TEXT_WIDTH, palette, panels, styled

BLUE, ORANGE, INK = "#0072B2", "#D55E00", "#222222"


@styled
def coalition_bars(
    values: Mapping[frozenset[str], float],
    names: Sequence[str],
    *,
    chosen: frozenset[str] | None = None,
    phi: Mapping[str, float] | None = None,
) -> Figure:
    """The accuracy (%) of every coalition as bars; beside it the modalities' Shapley values.

    Args:
        values: {coalition: accuracy in [0, 1]}, all 2^M of them.
        names: of the modalities, in order.
        chosen: a coalition to mark, with what each absent modality would add to it.
        phi: {modality: Shapley value in [0, 1]}, drawn as a second panel.

    Raises:
        MsamError: a coalition is missing.
    """
    if len(values) != 2 ** len(names):
        raise MsamError(f"{len(values)} coalitions of {len(names)} modalities; all 2^M are needed.")
    # By size, and within a size in the order of the names.
    order = sorted(
        values, key=lambda s: (len(s), [names.index(m) for m in sorted(s, key=names.index)])
    )
    figure = Figure(figsize=(TEXT_WIDTH, TEXT_WIDTH * 0.42), layout="constrained")
    ratio = [3, 1.4] if phi else [1]
    axes = figure.subplots(1, len(ratio), width_ratios=ratio, squeeze=False)[0]
    ax = axes[0]
    heights = [100 * values[s] for s in order]
    colors = [ORANGE if s == chosen else "#B8CDE0" for s in order]
    ax.bar(range(len(order)), heights, color=colors, width=0.7)
    for i, s in enumerate(order):
        # What a modality adds is written into the bar of the coalition that it would lead to.
        ax.text(i, heights[i] + 1.5, f"{heights[i]:.0f}", ha="center", size=7)
        if chosen is not None and len(s) == len(chosen) + 1 and chosen < s:
            gain = heights[i] - 100 * values[chosen]
            ax.annotate(
                f"{gain:+.0f}", (i, heights[i] / 2), ha="center", color=ORANGE, weight="bold"
            )
    # The second panel, with the Shapley values, is drawn on request.
    ax.set_xticks(range(len(order)), [_spelt(s, names) for s in order])
    ax.set(ylabel="accuracy (%)", ylim=(0, 112), yticks=range(0, 101, 25))
    if phi:
        looks = palette(phi)
        axes[1].bar(
            range(len(phi)), [100 * v for v in phi.values()], color=[looks[m].color for m in phi]
        )
        axes[1].set_xticks(range(len(phi)), list(phi))
        axes[1].set(ylabel="Shapley value (points)")
        axes[1].axhline(0, color=INK, lw=0.6)
    return figure


def _spelt(coalition: frozenset[str], names: Sequence[str]) -> str:
    return "\n+ ".join(m for m in names if m in coalition) or "none"


@styled
def worst_case(
    function: Callable[[np.ndarray], np.ndarray],
    rho: float,
    *,
    extent: tuple[float, float],
    way: np.ndarray | None = None,
) -> Figure:
    """A loss of one weight and its highest value within rho of each point, with the minimum of
    either marked.

    Args:
        function: x (N,) -> values (N,).
        rho: the radius.
        extent: (left, right) of the weights shown.
        way: (T,) weights visited by a training, drawn as dots on the curve.
    """
    x = np.linspace(*extent, 1201)
    f, worst = function(x), envelope(function, x, rho)
    figure, (ax,) = panels(1, aspect=0.5)
    ax.plot(x, f, color=INK, lw=1.6, label="loss")
    ax.plot(x, worst, color=ORANGE, lw=1.6, ls="--", label=f"highest loss within ρ = {rho}")
    # A star at the minimum of either curve.
    for values, color in ((f, INK), (worst, ORANGE)):
        i = int(values.argmin())
        ax.plot(x[i], values[i], "*", color=color, ms=12, mec="white")
    if way is not None:
        ax.plot(way, function(way), "o", color=BLUE, ms=3, label="SAM's steps")
        ax.plot(way[0], function(way[:1]), "s", color=BLUE, ms=6)
    ax.set(xlabel="weight", ylabel="loss", xlim=extent)
    ax.legend(loc="upper right")
    return figure


def envelope(
    function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, rho: float, points: int = 81
) -> np.ndarray:
    """max over |e| <= rho of function(x + e), for every x (N,), on a grid of `points` values e."""
    around = x[:, None] + rho * np.linspace(-1, 1, points)[None]
    return function(around).max(1)


@styled
def step_vectors(
    theta: np.ndarray,
    eps: np.ndarray,
    here: np.ndarray,
    there: np.ndarray,
    mixed: np.ndarray,
    *,
    title: str = "",
) -> Figure:
    """One M-SAM step in two dimensions: its perturbation, its two gradients and their mixture.

    Args:
        theta: (2,) the weights.
        eps: (2,) the perturbation.
        here, there, mixed: (2,) gradients at theta, at theta + eps, and their mixture; drawn as
            steps downhill with learning rate 0.4.
        title: above.
    """
    figure, (ax,) = panels(1, aspect=0.6)
    ax.plot(*theta, "o", color=INK)
    ax.annotate("θ", theta, xytext=(4, 6), textcoords="offset points")
    ax.plot(*(theta + eps), "o", color=GREY)
    ax.annotate("θ + ε", theta + eps, xytext=(4, 4), textcoords="offset points", color=GREY)
    ax.annotate("", theta + eps, theta, arrowprops={"arrowstyle": "->", "color": GREY, "ls": ":"})
    # Gradients are drawn as steps downhill; the legend gives their lengths.
    for name, g, color in (
        ("gradient at θ", here, BLUE),
        ("gradient at θ + ε (SAM)", there, "#009E73"),
        ("M-SAM's mixture", mixed, ORANGE),
    ):
        end = theta - 0.4 * g
        arrow = {"arrowstyle": "->", "color": color, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", end, theta, arrowprops=arrow)
        ax.plot([], [], color=color, lw=1.8, label=f"{name}, length {np.linalg.norm(g):.2f}")
    ax.set(xlim=(-0.6, 1.9), ylim=(-1.3, 1.3), xlabel="first weight", ylabel="second weight")
    ax.set_title(title)
    ax.legend(loc="lower right")
    return figure


@styled
def accord_vectors(angle: float, rho: float) -> Figure:
    """Two gradients of one encoder and the perturbations of MASAM and M-SAM.

    Args:
        angle: between the gradients of the fused and of the encoder's own loss, in radians.
        rho: the radius of the perturbation.
    """
    figure, (ax,) = panels(1)
    own = np.array([np.cos(angle), np.sin(angle)])
    gamma = float(np.cos(angle))
    arrows = [
        ("fused gradient", (1.0, 0.0), INK, 0.0),
        ("own gradient", tuple(own), BLUE, 0.0),
        (f"M-SAM moves by {rho:.2f}", (rho, 0.0), GREY, -0.18),
        (f"MASAM moves by {rho * gamma:+.2f}", (rho * gamma, 0.0), ORANGE, -0.36),
    ]
    for name, (dx, dy), color, shift in arrows:  # shifted down so that none covers another
        style = {"color": color, "width": 0.008, "angles": "xy", "scale_units": "xy", "scale": 1}
        ax.quiver(0, shift, dx, dy, label=name, **style)
    ax.plot([own[0]] * 2, [0, own[1]], color=GREY, lw=0.8, ls=":")
    ax.set(xlim=(-1.1, 1.2), ylim=(-0.5, 1.1), aspect="equal")
    ax.set_title(f"γ = cos {np.degrees(angle):.0f}° = {gamma:.2f}")
    ax.axhline(0, color="#DDDDDD", lw=0.6, zorder=0)
    ax.grid(visible=False)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
