"""The authors' updates written out anew from the equations, beside the library's."""

from __future__ import annotations

from typing import NamedTuple


class Agreement(NamedTuple):
    """A row of the table of agreement."""

    method: str
    source: str
    compared: str
    departures: str = ""
