"""Docstrings with LaTeX between dollar signs: their parts, and HTML of them.

`$...$` is an equation in a line of text, `$$...$$` one of its own; both may run over several lines.
What stands between backquotes is code, dollar signs and all. Markdown reads the same.
"""

from __future__ import annotations

import html
import re

# In this order: code holds no equation, and two dollars are no empty equation.
PARTS = re.compile(r"(?P<code>`[^`]+`)|\$\$(?P<block>.+?)\$\$|\$(?P<line>[^$]+?)\$", re.DOTALL)


def equations(text: str) -> list[str]:
    """The LaTeX of every equation.

    >>> equations("With $g$ and `$HOME`:" + " $$h = 2 g$$")
    ['g', 'h = 2 g']
    """
    return [m["block"] or m["line"] for m in PARTS.finditer(text) if not m["code"]]


def words(text: str) -> str:
    """The text without equations and code.

    >>> words("With $g$ as in `step`.")
    'With  as in .'
    """
    return PARTS.sub("", text)


def as_html(text: str) -> str:
    r"""Paragraphs, lists, emphasis, code and equations, the last between MathJax's own marks.

    >>> as_html("If $a < b$, take `b`.")
    '<p>If \\(a &lt; b\\), take <code>b</code>.</p>'
    """
    return "".join(_block(block) for block in text.strip().split("\n\n"))


def inline(text: str) -> str:
    """The same without a paragraph around it."""
    out, end = [], 0
    for m in PARTS.finditer(text):
        out.append(_emphasis(text[end : m.start()]))
        if m["code"]:
            out.append(f"<code>{html.escape(m['code'][1:-1])}</code>")
        else:
            left, right = (r"\[", r"\]") if m["block"] else (r"\(", r"\)")
            out.append(f"{left}{html.escape(m['block'] or m['line'], quote=False)}{right}")
        end = m.end()
    return "".join([*out, _emphasis(text[end:])])


def _emphasis(text: str) -> str:
    return re.sub(r"\*(\S[^*]*?)\*", r"<em>\1</em>", html.escape(text, quote=False))


def _block(block: str) -> str:
    if not block.startswith("* "):
        return f"<p>{inline(block)}</p>"
    items = re.split(r"\n?^\* ", block, flags=re.MULTILINE)[1:]
    return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>"
