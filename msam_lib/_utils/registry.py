"""Things by name: the rows of the catalogue, with what they name imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")


class Row(Protocol):
    """A row of the catalogue."""

    @property
    def target(self) -> str:
        """`"module:name"`; a leading dot stands for `msam_lib`."""


class Registry(Mapping[str, T]):
    """{name: what its row's target names}; follows the rows, so that a row added later counts.

    Args:
        rows: {name: row}.
    """

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._rows[name].target.partition(":")
        found: Any = getattr(import_module(module, "msam_lib"), attribute)
        return cast(T, found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
