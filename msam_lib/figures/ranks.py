"""Ranks of the methods that were searched by the protocol in every setting."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.figures.item import FigureItem
from msam_lib.figures.settings import OPTIONS, SHOWN
from msam_lib.figures.tables import since
from msam_lib.labels import display_names
from msam_lib.plots.comparison import rank_alt, rank_diagram
from msam_lib.results.comparison import ranks
from msam_lib.results.protocol import by_protocol
from msam_lib.results.statistics import Ranks

RANKED = ("joint", *SHOWN)


def ranked(*frames: pd.DataFrame) -> tuple[list[str], Ranks]:
    """Names and average ranks; frames of the summary, of the search and of the settings."""
    return ranks(by_protocol(*frames)[0], RANKED)


def _draw(*frames: pd.DataFrame) -> Figure:
    names, result = ranked(*frames)
    return rank_diagram(names, list(result.average), result.critical_difference, result.blocks)


def _describe(*frames: pd.DataFrame) -> str:
    names, result = ranked(*frames)
    return rank_alt(names, list(result.average), result.critical_difference)


def _caption(*frames: pd.DataFrame) -> str:
    names = list(display_names(RANKED).values())
    return (
        f"Rank of {', '.join(names[:-1])} and {names[-1]} by mean test accuracy of the whole "
        "model, averaged over the settings that were searched by the protocol; critical "
        "difference of the Nemenyi test at 5 % (Demsar 2006). Settings of the same data set are "
        "not independent, so the difference is rather too small."
        + "".join(f" {note}" for note in since(by_protocol(*frames)[0]))
    )


ITEM = FigureItem(
    name="methods_ranks",
    title="Average ranks over the settings of the protocol",
    caption=_caption,
    needs="methods",
    beside=("search", *OPTIONS),
    draw=_draw,
    describe=_describe,
)
