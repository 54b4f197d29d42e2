"""Every method beside its authors' update, written out anew from the equations in plain tensors.

Each test module has a list `AGREEMENT` of what it compares, from which the table of the
documentation is made.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple


class Agreement(NamedTuple):
    """One row of the table of agreement.

    Args:
        method: its name.
        source: where the update is written down: paper, equations, released code.
        compared: what was stepped beside ours.
        departures: where ours differs on purpose.
    """

    method: str
    source: str
    compared: str
    departures: str = ""


def agreements() -> list[Agreement]:
    """The rows of all test modules."""
    names = sorted(p.stem for p in Path(__file__).parent.glob("test_*.py"))
    modules = [import_module(f"tests.reference.{name}") for name in names]
    return [row for module in modules for row in getattr(module, "AGREEMENT", [])]
