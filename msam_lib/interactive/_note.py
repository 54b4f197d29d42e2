"""A framed note in a notebook, with the same words as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

FRAME = "border:1px solid;border-radius:4px;padding:0.5em 1em;margin:0.5em 0"


def note(head: str, text: str = "", points: Sequence[str] = ()) -> dict[str, str]:
    """{MIME type: content} of a note: a bold beginning, a text, a list of points."""
    items = "".join(f"<li>{escape(p)}</li>" for p in points)
    listed = f'<ul style="margin:0.3em 0 0">{items}</ul>' if points else ""
    return {
        "text/html": f'<div role="note" style="{FRAME}"><strong>{escape(head)}</strong> '
        f"{escape(text)}{listed}</div>",
        "text/plain": "\n".join([f"{head} {text}".strip(), *(f"* {p}" for p in points)]),
    }


def show_note(head: str, text: str = "", points: Sequence[str] = ()) -> None:
    """Show a note in a notebook; elsewhere print its words."""
    content = note(head, text, points)
    try:
        from IPython.core.interactiveshell import InteractiveShell
        from IPython.display import display
    except ImportError:
        print(content["text/plain"])
        return
    if InteractiveShell.initialized():
        display(content, raw=True)
    else:
        print(content["text/plain"])
