"""Docstrings as data: method cards and the command line's help are read from them."""

from __future__ import annotations

import re


def split_docstring(text: str) -> tuple[str, dict[str, str]]:
    """(text before the arguments, {argument: description}).

    Args:
        text: as `inspect.getdoc` returns it.

    >>> split_docstring("Does.\\n\\nArgs:\\n    a, b: one\\n        and two.")
    ('Does.', {'a': 'one and two.', 'b': 'one and two.'})
    """
    head, _, rest = text.partition("\nArgs:\n")
    section = re.split(r"\n(?=\S)", rest)[0]
    arguments: dict[str, str] = {}
    last = ""
    for line in section.splitlines():
        # "    name, name: text" begins an entry, further lines continue it.
        if start := re.match(r"    (\w[\w, ]*): (.*)", line):
            last, arguments[start[1]] = start[1], start[2]
        elif last and line.strip():
            arguments[last] += " " + line.strip()
    return head.strip(), {
        n.strip(): text for names, text in arguments.items() for n in names.split(",")
    }
