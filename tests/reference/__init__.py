"""Every method beside its authors' update, written out anew from the equations in plain tensors.

Each module says in `AGREEMENT` what it compares with.
"""

from __future__ import annotations

from typing import NamedTuple


class Agreement(NamedTuple):
    """One row of the table of agreements.

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
