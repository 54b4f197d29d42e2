"""A moving picture: weights that go down a loss of one weight, step by step, a panel per method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np

from msam_lib.errors import MsamError
from msam_lib.plots.moving import SECONDS, WIDTH, Moving, drawing, moved, visible

TOP, HEIGHT, LEFT, GAP = 70, 190, 40, 30  # pixels
INK = "#5B3FA0"  # of no modality


def descent(
    loss: Callable[[np.ndarray], np.ndarray],
    ways: Mapping[str, Sequence[float] | np.ndarray],
    *,
    extent: tuple[float, float],
    title: str,
    alt: str,
    probes: Mapping[str, Sequence[float] | np.ndarray] | None = None,
    every: int = 5,
) -> Moving:
    """The loss as a curve; on it a ball at the weight of each step, a ring where its gradient is
    taken when that is elsewhere, and pale dots where the ball has been or will be.

    Args:
        loss: of weights (N,), in nats.
        ways: {method: weights (T,) that it visits, one per step, the start first}.
        extent: lowest and highest weight drawn.
        title: the finding.
        alt: the picture in words.
        probes: {method: weights (T,) at which it takes the gradients}, for those that climb.
        every: so many steps lie between two moments that are drawn.

    Raises:
        MsamError: different numbers of steps, or too few of them for two moments.
    """
    probes = probes or {}
    lengths = {len(w) for w in [*ways.values(), *probes.values()]}
    if len(lengths) != 1 or min(lengths) <= every:
        raise MsamError(
            f"Ways of {sorted(lengths)} weights; all need the same number, more than every={every}."
        )
    steps = list(range(0, lengths.pop(), every))
    x = np.linspace(*extent, 201)
    low, high = float(loss(x).min()), float(loss(x).max())
    width = (WIDTH - 16 - (LEFT + GAP) * len(ways) + GAP) / len(ways)

    def place(weights: Sequence[float] | np.ndarray) -> list[tuple[float, float]]:
        """Pixels within a panel, to the right and downwards, of weights on the curve."""
        w = np.asarray(weights, dtype=float)
        across = width * (w - extent[0]) / (extent[1] - extent[0])
        down = HEIGHT * (high - loss(w)) / (high - low)
        return list(zip(across.tolist(), down.tolist(), strict=True))

    rules = [visible(k, len(steps)) for k in range(len(steps))]
    body: list[str] = []
    curve = " ".join(f"{a:.1f},{d:.1f}" for a, d in place(x))
    for n, (method, way) in enumerate(ways.items()):
        at = [float(way[k]) for k in steps]
        dots = "".join(f"M{a:.1f} {d:.1f}h0" for a, d in place(at))
        body += [
            f'<g transform="translate({LEFT + n * (width + LEFT + GAP):.1f} {TOP})">',
            f'<text y="-14" class="method">{escape(method)}</text>',
            *_axes(extent, (low, high), width),
            f'<polyline points="{curve}" class="curve"/><path d="{dots}" class="dots"/>',
        ]
        if method in probes:
            body.append(_runner(f"ring{n}", place([float(probes[method][k]) for k in steps])))
            rules.append(_running(f"ring{n}", place([float(probes[method][k]) for k in steps])))
        body.append(_runner(f"ball{n}", place(at)))
        rules.append(_running(f"ball{n}", place(at)))
        for k, (w, v) in enumerate(zip(at, loss(np.array(at)), strict=True)):
            said = f"weight {w:.2f}, loss {v:.2f}"
            body.append(f'<text x="{width:.1f}" y="-14" class="now e{k}">{said}</text>')
        body.append("</g>")
    foot = TOP + HEIGHT + 62
    body += [
        f'<text x="{LEFT}" y="{foot}" class="step e{k}">step {step} of {steps[-1]}</text>'
        for k, step in enumerate(steps)
    ]
    if probes:
        body.append(
            f'<circle cx="{LEFT + 190}" cy="{foot - 4}" r="7" class="ring"/>'
            f'<text x="{LEFT + 204}" y="{foot}">where the gradient is taken</text>'
        )
    moves, count, height = "".join(rules), len(steps), foot + 16
    return drawing(
        body, title=title, alt=alt, style=STYLE, moves=moves, moments=count, height=height
    )


STYLE = (
    "text{font-size:13px;fill:#222222}.title{font-size:16px;font-weight:bold}"
    ".method{font-weight:bold}.now{text-anchor:end}.now,.step{opacity:0}"
    ".tick{fill:#555555;font-size:12px}.middle{text-anchor:middle}.end{text-anchor:end}"
    ".curve{fill:none;stroke:#555555;stroke-width:2}.axis{stroke:#CCCCCC}"
    f".dots{{fill:none;stroke:{INK};stroke-width:7;stroke-linecap:round;opacity:.35}}"
    f".ball{{fill:{INK}}}.ring{{fill:none;stroke:{INK};stroke-width:2}}"
    f"[class^=move]{{animation-duration:{SECONDS}s;animation-iteration-count:infinite;"
    "animation-timing-function:step-end}"  # between two steps there is no weight
)


def _runner(name: str, places: Sequence[tuple[float, float]]) -> str:
    """A ball or a ring, which stands at its last place where nothing moves."""
    (a, d), kind, size = places[-1], name[:4], 8 if name[:4] == "ball" else 7
    return (
        f'<g class="move{name}" transform="translate({a:.1f} {d:.1f})">'
        f'<circle r="{size}" class="{kind}"/></g>'
    )


def _running(name: str, places: Sequence[tuple[float, float]]) -> str:
    """The rules that move it."""
    return moved(f"move{name}", [f"translate({a:.1f}px,{d:.1f}px)" for a, d in places])


def _axes(extent: tuple[float, float], limits: tuple[float, float], width: float) -> list[str]:
    """The floor with whole weights below it, and lines at halves of a nat."""
    (first, last), (low, high) = extent, limits
    out = []
    for value in np.arange(np.ceil(2 * low) / 2, high, 0.5):
        y = HEIGHT * (high - value) / (high - low)
        out.append(
            f'<line x2="{width:.1f}" y1="{y:.1f}" y2="{y:.1f}" class="axis"/>'
            f'<text x="-6" y="{y + 4:.1f}" class="tick end">{value:.1f}</text>'
        )
    for weight in range(int(np.ceil(first)), int(np.floor(last)) + 1):
        x = width * (weight - first) / (last - first)
        out.append(f'<text x="{x:.1f}" y="{HEIGHT + 18}" class="tick middle">{weight}</text>')
    out.append(f'<text x="{width / 2:.1f}" y="{HEIGHT + 36}" class="tick middle">weight</text>')
    out.append('<text x="-30" y="-2" class="tick">loss</text>')
    return out
