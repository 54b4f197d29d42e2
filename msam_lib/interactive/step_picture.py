"""A drawing of a training step, with the parts that a method changes marked."""

from __future__ import annotations

import html
import re

# {box: the left edge, the top edge}; a step runs from the data to the update, and begins again.
BOXES = {
    "data": (8, 8),
    "encoders": (132, 8),
    "fusion": (256, 8),
    "loss": (256, 92),
    "gradients": (132, 92),
    "update": (8, 92),
}
WIDTH, HEIGHT = 96, 48
ARROWS = ("M104 32h22", "M228 32h22", "M304 56v30", "M256 116h-22", "M132 116h-22", "M56 92v-30")
MARKED = "#d55e00"
# {kind of change: its box, words in the box}; see `catalogue.MethodRow`.
PLACES = {
    "data": ("data", "changed"),
    "model": ("fusion", "changed"),
    "loss": ("loss", "changed"),
    "landscape": ("gradients", "at θ + ε"),
    "gradient": ("gradients", "changed"),
    "schedule": ("update", "changed"),
}
WORDS = {  # what docstrings call a kind
    "the point at which the gradient is taken": "landscape",
    "landscape": "landscape",
    "gradient": "gradient",
    "loss": "loss",
    "schedule": "schedule",
    "data": "data",
    "model": "model",
}


def kinds_changed(kind: str, text: str) -> tuple[str, ...]:
    """The kinds of change: the catalogue's, then the others of the docstring's "Changes: ...".

    >>> kinds_changed("gradient", "Changes: the gradient and the loss. Requires: features.")
    ('gradient', 'loss')
    """
    found = re.search(r"Changes: (.+?)\.(?:\s|$)", text, re.DOTALL)
    said = " ".join(found[1].split()) if found else ""
    kinds = {kind: None}
    for words, other in WORDS.items():
        if words in said:
            kinds[other] = None
            said = said.replace(words, "")
    return tuple(k for k in kinds if k in PLACES)


def step_picture(title: str, kinds: tuple[str, ...]) -> str:
    """The drawing as one line of SVG, in the colour of the text around it.

    Args:
        title: the method's, for the alternative text.
        kinds: of `kinds_changed`; without any, nothing is marked.
    """
    marked: dict[str, str] = {}
    for kind in kinds:
        box, words = PLACES[kind]
        marked.setdefault(box, words)
    changes = " and ".join(f"the {box}" for box in marked) or "nothing"
    if "landscape" in kinds:
        changes = changes.replace("the gradients", "the point at which the gradients are taken")
    alt = f"A training step: {', '.join(BOXES)}, and again. {title} changes {changes}."
    tip = '<path d="M0 0L8 4L0 8z" fill="currentColor"/>'
    # several cards on one page: every drawing has an arrow head of its own
    name = "head-" + re.sub(r"\W+", "-", title.lower()).strip("-")
    parts = [
        f'<svg viewBox="0 0 360 148" role="img" aria-label="{html.escape(alt)}" '
        'style="width:100%;max-width:30em;height:auto" font-family="sans-serif" '
        'text-anchor="middle" xmlns="http://www.w3.org/2000/svg">',
        f'<defs><marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto">{tip}</marker></defs>',
    ]
    parts += [
        f'<path d="{d}" fill="none" stroke="currentColor" stroke-width="1.5" '
        f'marker-end="url(#{name})"/>'
        for d in ARROWS
    ]
    parts += [_box(box, marked.get(box)) for box in BOXES]
    return "".join([*parts, "</svg>"])


def _box(box: str, words: str | None) -> str:
    """One part of the step; `words` stand in it where it is marked."""
    x, y = BOXES[box]
    look = 'fill="none" stroke="currentColor" stroke-opacity="0.6"'
    if words:
        look = f'fill="{MARKED}" fill-opacity="0.18" stroke="{MARKED}" stroke-width="3"'
    middle, line = x + WIDTH / 2, y + HEIGHT / 2
    weight, up = (' font-weight="bold"', -3) if words else ("", 5)
    text = (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7" {look}/>'
        f'<text x="{middle:g}" y="{line + up:g}" font-size="15" fill="currentColor"{weight}>'
        f"{box}</text>"
    )
    if words:
        text += (
            f'<text x="{middle:g}" y="{line + 14:g}" font-size="12.5" fill="currentColor">'
            f"{words}</text>"
        )
    return text
