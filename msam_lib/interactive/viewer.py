"""Loss surfaces that mouse, finger and keys turn: HTML that carries its data and its script, and so
needs neither a kernel nor a network. Imports no torch.

The scripts are those of the site, in `static/`. Where no script runs, a still picture is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from msam_lib.errors import MsamError, unknown_name
from msam_lib.plots.landscape import shared_limits, surfaces, surfaces_alt
from msam_lib.plots.style import bundle
from msam_lib.results.landscape import Landscape

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("explore.js", "explore_landscape.js")
STYLE = "explore.css"


@dataclass(frozen=True)
class Viewer:
    """A finished output; a notebook shows it.

    Args:
        content: {MIME type: content}.
    """

    content: Mapping[str, str]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return dict(self.content)


def surface_viewer(
    landscapes: Mapping[str, Landscape],
    *,
    start: Sequence[str] | None = None,
    ceiling: float | None = None,
    every: int = 2,
    notes: Sequence[str] = (),
) -> Viewer:
    """Two surfaces side by side on one scale, to be turned and exchanged for others.

    Args:
        landscapes: {title: plane}.
        start: one or two titles shown first; by default the first two.
        ceiling: of the drawn losses, in nats.
        every: draw every so many points, counted from the centre, and the borders: a plane of 51 x
            51 points and every=2 take 4 KiB, every point 16.
        notes: paragraphs below the surfaces.

    Raises:
        MsamError: nothing to draw, a line among the planes, or an unknown title to start with.
    """
    still = surfaces(landscapes, ceiling=ceiling, views=[(30, -60)])
    begin = list(start or list(landscapes)[:2])
    if unknown := [n for n in begin if n not in landscapes]:
        raise unknown_name("start", unknown[0], list(landscapes))
    if len(begin) > 2:
        raise MsamError(f"start has {len(begin)} titles; there is room for one or two.")
    content = bundle(still, surfaces_alt(landscapes), dpi=80)
    part = surface_data(landscapes, begin, ceiling=ceiling, every=every) | {"notes": list(notes)}
    code = "\n".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)
    content["text/html"] = "\n".join(
        [
            f"<style>{(STATIC / STYLE).read_text(encoding='utf-8')}</style>",
            fragment("landscape", part, still=content["text/html"], label="Loss surfaces"),
            f"<script>{code}\nwindow.Explore.start();</script>",
        ]
    )
    return Viewer(content)


def surface_data(
    landscapes: Mapping[str, Landscape],
    start: Sequence[str],
    *,
    ceiling: float | None = None,
    every: int = 1,
) -> dict[str, Any]:
    """What the script draws: {start, low, high, planes}, rounded to a thousandth, losses in nats;
    one that is not finite stands at the top of the scale.
    """
    low, high = shared_limits(landscapes, ceiling=ceiling)
    return {
        "start": list(start),
        "low": low,
        "high": high,
        "planes": [_plane(name, s, every, high) for name, s in landscapes.items()],
    }


def _plane(name: str, s: Landscape, every: int, high: float) -> dict[str, Any]:
    y = np.zeros(0) if s.y is None else s.y
    rows, columns = _chosen(s.x, every), _chosen(y, every)
    loss = np.nan_to_num(s.loss, nan=high, posinf=high, neginf=high)
    return {
        "name": name,
        "x": rounded(s.x[rows], 3),
        "y": rounded(y[columns], 3),
        "loss": [rounded(loss[i, columns], 3) for i in rows],
        "centre": number(s.at_origin, 3),
        "rise": number(s.rise(), 3),
    }


def _chosen(axis: np.ndarray, every: int) -> list[int]:
    """Places on an axis: the model itself, every so many from there, and both ends."""
    if every < 1:
        raise MsamError(f"every={every}; it must be a whole number, 1 or more.")
    centre = int(np.abs(axis).argmin())
    return sorted({0, len(axis) - 1, *range(centre % every, len(axis), every)})


def number(value: float, decimals: int = 1) -> float | None:
    """The rounded number; None where it is not finite, which JSON has no word for."""
    return round(float(value), decimals) if isfinite(value) else None


def rounded(values: Iterable[float], decimals: int = 1) -> list[float | None]:
    """The numbers, each as `number` gives it."""
    return [number(v, decimals) for v in values]


def fragment(name: str, part: Mapping[str, Any], *, still: str = "", label: str = "") -> str:
    """The HTML of an interactive part: its data, and the place that its script fills.

    Args:
        name: of the part, after which its script is called.
        part: its data; JSON can write them.
        still: what is seen where no script runs, as HTML; a sentence by default.
        label: what the place is called, for those who do not see it; by default as the heading
            above it.
    """
    content = json.dumps(part, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    content = content.replace("</", "<\\/")  # the end of a script is looked for before it is read
    # JupyterLab would take arrow keys for its own.
    called = f' aria-label="{escape(label)}" data-lm-suppress-shortcuts="true"' if label else ""
    plain = "<noscript>This part needs JavaScript; the still picture is linked below.</noscript>"
    return (
        f'<div class="explore" data-part="{name}"{called}>\n'
        f'<script type="application/json">{content}</script>\n'
        + (f'<div class="explore-still">{still}</div>' if still else plain)
        + "\n</div>"
    )
