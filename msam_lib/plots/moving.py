"""What moving pictures share: an SVG file with style rules that move it, so that it plays wherever
pictures do, needs no script, and stands still, at its end, for readers who asked for less motion.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from msam_lib.errors import MsamError, unknown_name

SECONDS, HOLD = 9.0, 0.25  # of a round; share of it at the end
WIDTH = 760  # pixels
STILL = "@media (prefers-reduced-motion:reduce){*{animation:none!important}}"


@dataclass(frozen=True)
class Moving:
    """A finished picture; `to("svg")` gives its text, and a notebook shows it.

    Args:
        svg: the text.
        still: the same without what moves, at the end.
        alt: the picture in words.
    """

    svg: str
    still: str
    alt: str

    def to(self, format: str) -> str:
        """The picture as text.

        Raises:
            MsamError: another format than svg.
        """
        if format != "svg":
            raise unknown_name("format", format, ["svg"])
        return self.svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """As an image, because the style rules of an SVG within the page would reach all others;
        and as a still one by the page's own choice, because not every browser tells an image of a
        reader's wish for less motion.
        """
        moving, still = (base64.b64encode(x.encode()).decode() for x in (self.svg, self.still))
        kind = "data:image/svg+xml;base64"
        image = (
            f'<picture><source media="(prefers-reduced-motion: reduce)" srcset="{kind},{still}">'
            f'<img alt="{escape(self.alt)}" src="{kind},{moving}"></picture>'
        )
        return {"text/html": image, "text/plain": self.alt}


def drawing(
    body: Sequence[str],
    *,
    title: str,
    alt: str,
    style: str,
    moves: str,
    moments: int,
    height: float,
) -> Moving:
    """A picture on white under its title, `WIDTH` pixels wide.

    Args:
        body: elements of SVG; one of the class `e<k>` is seen in moment k only, see `visible`.
        title: the finding.
        alt: the picture in words.
        style: rules that hold at any time.
        moves: rules that move elements, as `moved` and `visible` give them.
        moments: how many there are.
        height: in pixels.

    Raises:
        MsamError: the alternative text is empty.
    """
    if not alt.strip():
        raise MsamError("alt is empty; describe the picture in one or two sentences.")

    def whole(rules: str, elements: Iterable[str]) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'aria-label="{escape(alt, quote=True)}" '
            'font-family="DejaVu Sans, Verdana, sans-serif">\n'
            f"<title>{escape(alt)}</title>\n<style>{rules}</style>\n"
            f'<rect width="{WIDTH}" height="{height}" fill="#FFFFFF"/>\n'
            f'<text x="16" y="28" class="title">{escape(title)}</text>\n'
            + "\n".join(elements)
            + "\n</svg>\n"
        )

    last = moments - 1
    others = re.compile(rf' e(?!{last}")\d+"')  # classes of the moments before the last one
    stays = [element for element in body if not others.search(element.partition(">")[0])]
    still = whole(f"{style}.e{last}{{opacity:1}}", stays)
    return Moving(whole(f"{style}{STILL}{moves}", body), still, alt)


def at(k: int, count: int) -> float:
    """The time of moment k of `count` in percent of a round; the last one comes before the hold."""
    return 100 * (1 - HOLD) * k / (count - 1)


def moved(name: str, transforms: Sequence[str]) -> str:
    """The rules by which elements of the class `name` have these transforms, moment by moment, then
    stand.
    """
    steps = "".join(
        f"{at(k, len(transforms)):.2f}%{{transform:{t}}}" for k, t in enumerate(transforms)
    )
    return (
        f"@keyframes {name}{{{steps}100%{{transform:{transforms[-1]}}}}}"
        f".{name}{{animation-name:{name}}}"
    )


def visible(k: int, count: int) -> str:
    """The rules by which texts of the class `e<k>` show in moment k only; those of the last moment
    also where nothing moves.
    """
    begin, end = at(k, count), at(k + 1, count) if k + 1 < count else 100.0
    before = f"0%,{begin - 0.01:.2f}%{{opacity:0}}" if k else ""
    after = f"{end:.2f}%,100%{{opacity:0}}" if k + 1 < count else "100%{opacity:1}"
    still = "opacity:1;" if k + 1 == count else ""
    return (
        f"@keyframes e{k}{{{before}{begin:.2f}%,{end - 0.01:.2f}%{{opacity:1}}{after}}}"
        f".e{k}{{{still}animation:e{k} {SECONDS}s infinite step-end}}"
    )
