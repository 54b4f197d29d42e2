"""`FigureItem`: one figure or table of the registry."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.labels import radii
from msam_lib.plots import style, table
from msam_lib.results.rows import seeds_in_words


class Text(Protocol):
    """A product of text, such as a `Table`."""

    def to(self, format: str) -> str:
        """The text in one of its formats."""


Product = Figure | Text
Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class FigureItem:
    """One figure or table. All its content, captions included, comes from frozen results.

    Args:
        name: of its files; a table's begins with `table_`.
        title: a few words.
        caption: what is shown and how it was measured; a text, or called like `draw`.
        paper_reference: the figure or table of the paper that it corresponds to; "" for none.
        formats: file name endings; by default those of tables, where the name says so, or figures.
        needs: name of the frozen results it is drawn from.
        beside: names of further frozen results that it reads.
        optional: names of those that it reads where they are there, such as comparisons on data
            that have to be obtained; the last argument of `draw` and the like is then {name: rows}.
        select: all rows of `needs` -> the rows it shows.
        draw: called with those rows, then with each frame of `beside`; returns a Figure or Table.
        describe: called like `draw`; returns the alternative text.
    """

    name: str
    title: str
    caption: str | Callable[..., str]
    needs: str
    draw: Callable[..., Product]
    describe: Callable[..., str]
    select: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame
    beside: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    paper_reference: str = ""
    formats: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of all frozen results it cannot do without."""
        return (self.needs, *self.beside)

    @property
    def kinds(self) -> tuple[str, ...]:
        """File name endings of its products."""
        if self.formats:
            return self.formats
        return table.FORMATS if self.name.startswith("table_") else style.FORMATS

    @property
    def modules(self) -> frozenset[str]:
        """The modules that its functions are written in."""
        parts = (self.caption, self.select, self.draw, self.describe)
        return frozenset(_module(part) for part in parts if callable(part))

    def _shown(self, frames: Frames) -> tuple[Any, ...]:
        """The arguments of `draw`, `describe` and `caption`."""
        found = {name: frames[name] for name in self.optional if name in frames}
        further = (found,) if self.optional else ()
        return (self.select(frames[self.needs]), *(frames[n] for n in self.beside), *further)

    def build(self, frames: Frames) -> Product:
        """The picture or table, from {name: all rows} of its sources."""
        return self.draw(*self._shown(frames))

    def alt(self, frames: Frames) -> str:
        """The alternative text, from {name: all rows} of its sources."""
        return self.describe(*self._shown(frames))

    def full_caption(self, frames: Frames) -> str:
        """The caption with number of seeds and radii, from {name: all rows} of its sources."""
        shown = self._shown(frames)
        caption = self.caption if isinstance(self.caption, str) else self.caption(*shown)
        return " ".join(
            [caption, f"{seeds_in_words(shown[0])}.", radii(shown[0]["label"].unique())]
        ).strip()


def _module(function: Callable[..., object]) -> str:
    """The module that a function, or the function of a partial, is written in."""
    while isinstance(function, functools.partial):
        function = function.func
    return function.__module__
