"""HTML for notebooks: small tables, bars and curves of what an object holds. No script, no plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

SHADES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C5A00", "#5B3FA0")
WIDTH, HEIGHT = 280, 90  # of a picture of curves, pixels


def table(caption: str, rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """A table; the first cell of each row is its heading."""
    top = "".join(f'<th scope="col">{escape(h)}</th>' for h in head)
    style = "text-align:left;white-space:nowrap"
    lines = [f'<table><caption style="{style}">{escape(caption)}</caption>']
    lines += [f"<thead><tr>{top}</tr></thead>"] if head else []
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(str(c))}</td>" for c in rest)
        lines.append(f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    return "".join([*lines, "</table>"])


def bars(caption: str, values: Mapping[str, float], texts: Mapping[str, str]) -> str:
    """A bar per name, as long as its value in [0, 1], with a text at its side."""
    rows = [f'<div role="img" aria-label="{escape(caption, quote=True)}">{escape(caption)}']
    for k, (name, value) in enumerate(values.items()):
        width = 100 * min(1.0, max(0.0, value))
        rows.append(
            f'<div style="display:flex;align-items:center;gap:.6em"><span style="width:8em;'
            f'text-align:right">{escape(name)}</span><span style="width:14em"><span style="display:'
            f"block;height:.9em;width:{width:.1f}%;background:{SHADES[k % len(SHADES)]}"
            f'"></span></span><span>{escape(texts[name])}</span></div>'
        )
    return "".join([*rows, "</div>"])


def curves(caption: str, lines: Mapping[str, Sequence[float]]) -> str:
    """A line per name over its places, all on one scale, with the first and last value's range."""
    values = [v for line in lines.values() for v in line if math.isfinite(v)]
    if not values or max(map(len, lines.values())) < 2:
        return ""
    low, high = min(values), max(values)
    spread = (high - low) or 1.0
    parts = [
        f'<svg viewBox="0 -10 {WIDTH + 110} {HEIGHT + 26}" width="{WIDTH + 110}" role="img" '
        f'aria-label="{escape(caption, quote=True)}" font-size="11" fill="currentColor">'
        f'<line x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}" stroke="currentColor" opacity=".3"/>'
    ]
    # Names beside the ends of their lines, pushed apart where they would touch.
    ends = {n: HEIGHT * (1 - (line[-1] - low) / spread) for n, line in lines.items() if line}
    at = -math.inf
    for name in sorted(ends, key=ends.__getitem__):
        at = max(ends[name] + 4, at + 12)
        ends[name] = at
    for k, (name, line) in enumerate(lines.items()):
        step = WIDTH / max(1, len(line) - 1)
        points = " ".join(
            f"{j * step:.1f},{HEIGHT * (1 - (v - low) / spread):.1f}"
            for j, v in enumerate(line)
            if math.isfinite(v)
        )
        shade = SHADES[k % len(SHADES)]
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{shade}" stroke-width="2"/>'
            f'<text x="{WIDTH + 6}" y="{ends.get(name, 0):.1f}">{escape(name)}</text>'
        )
    return "".join([*parts, "</svg>"])
