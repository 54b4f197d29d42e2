"""The authors' updates written out anew, against which every method is stepped.

Each test module has a list `AGREEMENT` of what it compares, from which the table of the
documentation is made.
"""

from __future__ import annotations

from typing import NamedTuple


class Agreement(NamedTuple):
    method: str
    source: str
    compared: str
    departures: str = ""
