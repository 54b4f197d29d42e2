"""Names of points in a scatter plot, placed so that they can be read."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from msam_lib.plots.style import GREY

# A name's place: left, right and middle of its box, in parts of the panel; and its point.
Place = tuple[float, float, float, complex]


def label_points(ax: Axes, rows: pd.DataFrame, points: pd.DataFrame, height: float = 0.06) -> None:
    """Names beside points with a thin line, each at the nearest place that covers no other name, as
    few points as possible, and whose line crosses no other line, name or point where that can be.

    Args:
        ax: panel with the points, whose upper limit is raised to make room.
        rows: columns name, x, y: the points to name.
        points: columns x, y: all points of the panel.
        height: of a name, in parts of the panel.
    """
    ax.margins(0.06, 0.1)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.25 * (high - low))
    to_axes = ax.transData + ax.transAxes.inverted()
    spots = to_axes.transform(points[["x", "y"]].to_numpy()) @ [1, 1j]
    own = {r.name: complex(*to_axes.transform((r.x, r.y))) for r in rows.itertuples()}
    placed: dict[str, Place] = {}
    for _ in range(4):  # the first pass places them, the next ones mend what came later
        for name in sorted(own, key=lambda n: -own[n].imag):
            others = [p for n, p in placed.items() if n != name]
            wide = 0.028 * len(name)
            lefts = np.linspace(0.02, max(0.02, 0.99 - wide), 15)
            grid = itertools.product(lefts, np.linspace(0.03, 0.97, 32))
            free = [(left, left + wide, middle, own[name]) for left, middle in grid]
            placed[name] = _best(free, others, spots, height)
    for row in rows.itertuples():
        ax.annotate(
            row.name,
            (row.x, row.y),
            xytext=(placed[row.name][0], placed[row.name][2]),
            textcoords="axes fraction",
            va="center",
            fontsize=6.5,
            arrowprops={"arrowstyle": "-", "lw": 0.5, "color": GREY, "shrinkA": 0, "shrinkB": 2},
            bbox={"fc": "white", "alpha": 0.75, "lw": 0, "pad": 0.6},
        )


def _best(free: list[Place], others: list[Place], spots: np.ndarray, height: float) -> Place:
    """The place of the smallest cost, tried from the nearest on: a place can't cost less than its
    distance.
    """
    ordered = sorted((_distance(p), p[:3], p) for p in free)
    best, least = ordered[0][2], np.inf
    for distance, _, place in ordered:
        if distance >= least:
            break
        cost = distance + _faults(place, others, spots, height)
        if cost < least:
            best, least = place, cost
    return best


def _distance(place: Place) -> float:
    left, right, middle, point = place
    return abs(min(max(point.real, left), right) - point.real) + abs(middle - point.imag)


def _faults(place: Place, others: list[Place], spots: np.ndarray, height: float) -> float:
    """How bad a place is for a name: over names or points, or with lines that cross."""
    left, right, middle, point = place
    inside = (spots.real > left - 0.02) & (spots.real < right + 0.02)
    total = 0.3 * float((inside & (abs(spots.imag - middle) < height / 2 + 0.02)).sum())
    end = complex((left + right) / 2, middle)
    line = point + np.linspace(0, 1, 40) * (end - point)
    near = abs(line[:, None] - spots[None]).min(axis=0) < 0.015
    total += 0.05 * float((near & (abs(spots - point) > 1e-9)).sum())
    for a, b, height_of, other in others:
        if left < b and a < right and abs(middle - height_of) < height:
            total += 10
        their_end = complex((a + b) / 2, height_of)
        total += _cross(point, end, other, their_end)
        total += _meets(point, end, (a, b, height_of), height)
        total += _meets(other, their_end, (left, right, middle), height)
    return total


def _cross(a: complex, b: complex, c: complex, d: complex) -> bool:
    """Whether the segments from a to b and from c to d cross, points as complex numbers."""

    def side(p: complex, q: complex, r: complex) -> float:
        return ((q - p).conjugate() * (r - p)).imag

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _meets(a: complex, b: complex, box: tuple[float, float, float], height: float) -> bool:
    """Whether the segment from a to b runs through a name's box (left, right, middle)."""
    points = a + np.linspace(0, 1, 40) * (b - a)
    across = (points.real > box[0]) & (points.real < box[1])
    return bool((across & (abs(points.imag - box[2]) < height / 2)).any())
