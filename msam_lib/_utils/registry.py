"""`Registry`: classes and functions by name, imported when they are first used."""

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
    """{name: the class or function that the row's target names}.

    Args:
        rows: {name: row} of the catalogue; rows added later are found, too.
    """

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._rows[name].target.partition(":")
        target: Any = getattr(import_module(module, "msam_lib"), attribute)
        return cast(T, target)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
