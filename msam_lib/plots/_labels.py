"""Names of points in a scatter plot and of lines at their ends, placed so that they can be read;
ticks of colour bars.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from msam_lib.plots.style import GREY

MARKER = 0.04  # radius of a marker with some air around it, in parts of the panel
Box = tuple[float, float, float]  # left, right and middle of a name, in parts of the panel


class Place(NamedTuple):
    """Where a name could stand, and the point that it names."""

    box: Box
    point: complex

    @property
    def distance(self) -> float:
        left, right, middle = self.box
        return abs(min(max(self.point.real, left), right) - self.point.real) + abs(
            middle - self.point.imag
        )

    @property
    def line(self) -> tuple[complex, complex]:
        """From the point to the middle of the name."""
        left, right, middle = self.box
        return self.point, complex((left + right) / 2, middle)


def label_points(ax: Axes, rows: pd.DataFrame, points: pd.DataFrame, height: float = 0.06) -> None:
    """Write names beside points, each joined to its point by a thin line.

    A name takes the nearest place that covers no other name and as few points as possible, and
    whose line crosses no other line, name or point where that can be avoided.

    Args:
        ax: panel with the points, whose upper limit is raised to make room.
        rows: columns name, x, y (in data units): the points to name.
        points: columns x, y (in data units): all points of the panel.
        height: of a name, in parts of the panel.
    """
    # Some panel is left free above the points for their names.
    ax.margins(0.06, 0.1)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.25 * (high - low))
    # Points in parts of the panel, as complex numbers: segments and distances are differences.
    to_axes = ax.transData + ax.transAxes.inverted()
    points_at = to_axes.transform(points[["x", "y"]].to_numpy()) @ [1, 1j]
    anchors = {r.name: complex(*to_axes.transform((r.x, r.y))) for r in rows.itertuples()}
    placed: dict[str, Place] = {}
    for _ in range(4):  # the first pass places the names, the others improve each given all others
        for name in sorted(anchors, key=lambda n: -anchors[n].imag):
            others = [p for n, p in placed.items() if n != name]
            width = 0.028 * len(name)  # in parts of the panel, of the font size below
            lefts = np.linspace(0.02, max(0.02, 0.99 - width), 15)
            grid = itertools.product(lefts, np.linspace(0.03, 0.97, 32))
            spots = [Place((left, left + width, mid), anchors[name]) for left, mid in grid]
            placed[name] = _best(spots, others, points_at, height)
    for row in rows.itertuples():
        left, _, middle = placed[row.name].box
        ax.annotate(
            row.name,
            (row.x, row.y),
            xytext=(left, middle),
            textcoords="axes fraction",
            va="center",
            fontsize=6.5,
            arrowprops={"arrowstyle": "-", "lw": 0.5, "color": GREY, "shrinkA": 0, "shrinkB": 2},
            bbox={"fc": "white", "alpha": 0.75, "lw": 0, "pad": 0.6},
        )


def _best(places: list[Place], others: list[Place], points_at: np.ndarray, height: float) -> Place:
    """The place of the smallest cost, which is its distance plus its penalty."""
    ordered = sorted(places, key=lambda p: (p.distance, p.box))
    best, least = ordered[0], np.inf
    for place in ordered:
        if place.distance >= least:  # nor can a farther one cost less
            break
        cost = place.distance + _penalty(place, others, points_at, height)
        if cost < least:
            best, least = place, cost
    return best


def _penalty(place: Place, others: list[Place], points_at: np.ndarray, height: float) -> float:
    """What counts against a place for a name: covered points or names, lines that cross."""
    left, right, middle = place.box
    # Points whose markers the name covers or touches, then points other than its own that its line
    # touches.
    inside = (points_at.real > left - MARKER) & (points_at.real < right + MARKER)
    total = 0.5 * float((inside & (abs(points_at.imag - middle) < height / 2 + MARKER)).sum())
    touched = abs(_along(*place.line)[:, None] - points_at[None]).min(axis=0) < 0.015
    total += 0.05 * float((touched & (abs(points_at - place.point) > 1e-9)).sum())
    # Names that it covers, lines that cross its line, lines that run through a name.
    for other in others:
        their_left, their_right, their_middle = other.box
        beside = (
            left - 0.03 < their_right and their_left - 0.03 < right
        )  # a gap as wide as a letter
        if beside and abs(middle - their_middle) < height:
            total += 10
        total += _cross(*place.line, *other.line)
        total += _meets(*place.line, other.box, height)
        total += _meets(*other.line, place.box, height)
    return total


def _along(a: complex, b: complex) -> np.ndarray:
    """40 points of the segment from a to b, both included."""
    return a + np.linspace(0, 1, 40) * (b - a)


def _cross(a: complex, b: complex, c: complex, d: complex) -> bool:
    """Whether the segments from a to b and from c to d cross, points as complex numbers."""

    # Positive where r is to the left of the line from p to q, negative where to the right.
    def side(p: complex, q: complex, r: complex) -> float:
        return ((q - p).conjugate() * (r - p)).imag

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _meets(a: complex, b: complex, box: Box, height: float) -> bool:
    """Whether the segment from a to b runs through a name's box."""
    left, right, middle = box
    points = _along(a, b)
    across = (points.real > left) & (points.real < right)
    return bool((across & (abs(points.imag - middle) < height / 2)).any())


def label_ends(ax: Axes, ends: Mapping[str, tuple[float, str]], gap: float = 0.11) -> None:
    """Write the name of every line to the right of its end, joined to it by a thin line where names
    had to move apart.

    Args:
        ax: panel, whose limits are final.
        ends: {name: (last y in data units, colour)}.
        gap: smallest distance of two names, in parts of the panel.
    """
    low, high = ax.get_ylim()
    order = sorted(ends, key=lambda name: ends[name][0])
    at = np.array([(ends[name][0] - low) / (high - low) for name in order])
    for name, y, place in zip(order, at, spread(at, gap), strict=True):
        ax.annotate(
            name,
            (1, float(np.clip(y, 0, 1))),
            xytext=(1.05, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=7,
            color=ends[name][1],
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "lw": 0.5,
                "color": ends[name][1],
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


def spread(at: np.ndarray, gap: float) -> np.ndarray:
    """Ascending places (N,) at least `gap` apart and as near to the ascending ones given as that
    allows, within 0 and 1 where they fit.

    >>> spread(np.array([0.5, 0.5, 0.9]), 0.2).tolist()
    [0.4, 0.6, 0.9]
    """
    # Isotonic regression of the places less their offsets: groups that collide move as one.
    offsets = gap * np.arange(len(at))
    blocks: list[list[float]] = []
    for value in at - offsets:
        blocks.append([value])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    base = np.concatenate([np.full(len(b), np.mean(b)) for b in blocks])
    top = max(0.0, 1 - (offsets[-1] if len(offsets) else 0.0))
    return (np.clip(base, 0.0, top) + offsets).round(9)


def ticks_within(low: float, high: float) -> list[float]:
    """Round values between two others; a colour bar shows further ones at its ends, where they are
    not.

    >>> ticks_within(0.4, 4.0)
    [1.0, 2.0, 3.0, 4.0]
    """
    return [t for t in map(float, MaxNLocator(4).tick_values(low, high)) if low <= t <= high]
