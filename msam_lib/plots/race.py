"""A moving picture: encoders racing over the epochs, each towards what it reaches alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from msam_lib.errors import MsamError
from msam_lib.plots.moving import SECONDS, WIDTH, Moving, drawing, moved, visible
from msam_lib.plots.style import palette

LEFT, LANE, GAP = 92, 26, 12  # pixels
Race = Moving  # what `race` returns


def race(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    alone: Mapping[str, float],
    *,
    title: str,
    alt: str,
) -> Race:
    """A panel per method, in it a lane per modality whose bar grows with the epochs.

    Args:
        curves: {method: {modality: its accuracy at every epoch, in percent}}.
        alone: {modality: what it reaches in a network of its own, in percent}: the end of its lane.
        title: the finding.
        alt: the picture in words.

    Raises:
        MsamError: different numbers of epochs.
    """
    lengths = {len(c) for lanes in curves.values() for c in lanes.values()}
    if len(lengths) != 1 or min(lengths) < 2:
        raise MsamError(f"Curves of {sorted(lengths)} epochs; all need the same number, 2 or more.")
    (epochs,) = lengths
    looks = palette(alone)
    track = WIDTH - LEFT - 150
    rules, body = [visible(k, epochs) for k in range(epochs)], []
    y = 58
    for method, lanes in curves.items():
        body.append(f'<text x="16" y="{y}" class="method">{escape(method)}</text>')
        y += 14
        for m, curve in lanes.items():
            name = f"bar{len(rules)}"
            shares = [min(1.0, v / alone[m]) for v in curve]
            rules.append(moved(name, [f"scaleX({s:.4f})" for s in shares]))
            middle = y + LANE / 2 + 5
            body += [
                f'<text x="{LEFT - 10}" y="{middle}" class="lane">{escape(m)}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{track}" height="{LANE}" rx="5" class="track"/>',
                f'<g transform="translate({LEFT} {y})"><rect class="{name}" width="{track}" '
                f'height="{LANE}" rx="5" fill="{looks[m].color}" '
                f'transform="scale({shares[-1]:.4f} 1)"/></g>',
                *(
                    f'<text x="{LEFT + track + 12}" y="{middle}" class="number e{k}">{v:.0f} % of '
                    f"{alone[m]:.0f} %</text>"
                    for k, v in enumerate(curve)
                ),
            ]
            y += LANE + GAP
        y += 26
    end = LEFT + track
    body += [
        f'<line x1="{end}" x2="{end}" y1="66" y2="{y - 34}" class="finish"/>',
        f'<text x="{end}" y="{y - 14}" class="note">trained alone</text>',
        *(
            f'<text x="{LEFT}" y="{y - 14}" class="epoch e{k}">epoch {k} of {epochs - 1}</text>'
            for k in range(epochs)
        ),
    ]
    moves, height = "".join(rules), y + 4
    return drawing(
        body, title=title, alt=alt, style=STYLE, moves=moves, moments=epochs, height=height
    )


STYLE = (
    "text{font-size:13px;fill:#222222}.title{font-size:16px;font-weight:bold}"
    ".method{font-weight:bold}.lane{text-anchor:end}.track{fill:#EEEEEE}"
    ".finish{stroke:#222222;stroke-width:2;stroke-dasharray:4 4}"
    ".note{text-anchor:middle;fill:#555555}.number,.epoch{opacity:0}.epoch{fill:#555555}"
    f"[class^=bar]{{animation-duration:{SECONDS}s;animation-iteration-count:infinite;"
    "animation-timing-function:ease-out}"
)
