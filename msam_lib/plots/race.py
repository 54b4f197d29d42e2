"""A moving picture: encoders racing over the epochs, each towards what it reaches when it is alone.

An SVG file with style rules that move it, so that it plays wherever pictures do, needs no script,
and stands still, at the last epoch, for readers who asked for less motion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from msam_lib.errors import MsamError, unknown_name
from msam_lib.plots.style import palette

SECONDS, HOLD = 9.0, 0.25  # of a round; share of it at the last epoch
WIDTH, LEFT, LANE, GAP = 760, 92, 26, 12  # pixels


@dataclass(frozen=True)
class Race:
    """A finished picture; `to("svg")` gives its text.

    Args:
        svg: the text.
    """

    svg: str

    def to(self, format: str) -> str:
        """The picture as text.

        Raises:
            MsamError: another format than svg.
        """
        if format != "svg":
            raise unknown_name("format", format, ["svg"])
        return self.svg


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
    rules, body = [_visible(k, epochs) for k in range(epochs)], []
    y = 58
    for method, lanes in curves.items():
        body.append(f'<text x="16" y="{y}" class="method">{escape(method)}</text>')
        y += 14
        for m, curve in lanes.items():
            name = f"bar{len(rules)}"
            shares = [min(1.0, v / alone[m]) for v in curve]
            rules.append(_growing(name, shares))
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
    height = y + 4
    body += [
        f'<line x1="{end}" x2="{end}" y1="66" y2="{y - 34}" class="finish"/>',
        f'<text x="{end}" y="{y - 14}" class="note">trained alone</text>',
        *(
            f'<text x="{LEFT}" y="{y - 14}" class="epoch e{k}">epoch {k} of {epochs - 1}</text>'
            for k in range(epochs)
        ),
    ]
    return Race(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(alt, quote=True)}" font-family="DejaVu Sans, Verdana, sans-serif">\n'
        f"<title>{escape(alt)}</title>\n<style>{STYLE}{''.join(rules)}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#FFFFFF"/>\n'
        f'<text x="16" y="28" class="title">{escape(title)}</text>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


STYLE = (
    "text{font-size:13px;fill:#222222}.title{font-size:16px;font-weight:bold}"
    ".method{font-weight:bold}.lane{text-anchor:end}.track{fill:#EEEEEE}"
    ".finish{stroke:#222222;stroke-width:2;stroke-dasharray:4 4}"
    ".note{text-anchor:middle;fill:#555555}.number,.epoch{opacity:0}.epoch{fill:#555555}"
    f"[class^=bar]{{animation-duration:{SECONDS}s;animation-iteration-count:infinite;"
    "animation-timing-function:ease-out}"
    "@media (prefers-reduced-motion:reduce){*{animation:none!important}}"
)


def _at(k: int, epochs: int) -> float:
    """The time of an epoch in percent of a round."""
    return 100 * (1 - HOLD) * k / (epochs - 1)


def _growing(name: str, shares: Sequence[float]) -> str:
    """The rules by which a bar has these shares of its length, epoch by epoch, then stands."""
    steps = "".join(
        f"{_at(k, len(shares)):.2f}%{{transform:scaleX({s:.4f})}}" for k, s in enumerate(shares)
    )
    return (
        f"@keyframes {name}{{{steps}100%{{transform:scaleX({shares[-1]:.4f})}}}}"
        f".{name}{{animation-name:{name}}}"
    )


def _visible(k: int, epochs: int) -> str:
    """The rules by which texts of epoch k show in its time only; those of the last epoch also where
    nothing moves.
    """
    begin, end = _at(k, epochs), _at(k + 1, epochs) if k + 1 < epochs else 100.0
    before = f"0%,{begin - 0.01:.2f}%{{opacity:0}}" if k else ""
    after = f"{end:.2f}%,100%{{opacity:0}}" if k + 1 < epochs else "100%{opacity:1}"
    still = "opacity:1;" if k + 1 == epochs else ""
    return (
        f"@keyframes e{k}{{{before}{begin:.2f}%,{end - 0.01:.2f}%{{opacity:1}}{after}}}"
        f".e{k}{{{still}animation:e{k} {SECONDS}s infinite step-end}}"
    )
