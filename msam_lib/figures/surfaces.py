"""The loss surfaces that answer to the paper's Figure 1, at the tuned values."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.figures.item import FigureItem
from msam_lib.plots.landscape import VIEWS
from msam_lib.plots.relief import relief, relief_alt
from msam_lib.results.landscape import rises, surfaces_by_block

NAME = f"surfaces_late_{DEFAULT_DATASET}"  # frozen by `python -m msam_lib surfaces`
MEASURED = (
    f"late fusion, {DEFAULT_DATASET}, every method with its tuned learning rate and main option, "
    "51 x 51 points, 300 training samples, filter-normalised random directions that are the same "
    "for every method. Height and colour: the loss on one logarithmic scale; on the floor its "
    "contours. Rise: mean loss of the plane minus the loss of the model itself, mean ± half-width "
    "of the 95 % Student-t interval over seeds; clearly: the interval of the difference, paired by "
    "seed, excludes 0. Surfaces of the first seed; rises of"
)


ORDER = ("agm", "sam", "msam")  # the paper's; further methods follow


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows, the paper's methods first and in its order."""
    found = list(frame["label"].unique())
    place = {k: i for i, k in enumerate([*ORDER, *(k for k in found if k not in ORDER)])}
    return frame.sort_values("label", key=lambda c: c.map(place), kind="stable")


def encoders(frame: pd.DataFrame) -> list[str]:
    """The modalities whose encoders were measured."""
    return [block for block in frame["block"].unique() if block != "all"]


def _whole(frame: pd.DataFrame) -> Figure:
    return _drawn(frame, ["all"], VIEWS)


def _each(frame: pd.DataFrame) -> Figure:
    return _drawn(frame, encoders(frame), VIEWS[:1])


def _drawn(
    frame: pd.DataFrame, blocks: Sequence[str], views: Sequence[tuple[float, float]]
) -> Figure:
    return relief(surfaces_by_block(frame), rises(frame), blocks=blocks, views=views)


ITEMS = (
    FigureItem(
        name="surfaces_late",
        title="Loss surfaces of AGM, SAM and M-SAM",
        caption=f"Training loss over one plane of all weights from two viewpoints, {MEASURED}",
        paper_reference="Figure 1",
        needs=NAME,
        select=in_order,
        draw=_whole,
        describe=lambda frame: relief_alt(rises(frame), ["all"]),
    ),
    FigureItem(
        name="surfaces_encoders_late",
        title="Loss surfaces inside each encoder",
        caption=f"Training loss over a plane inside each modality's encoder, {MEASURED}",
        paper_reference="Figure 1",
        needs=NAME,
        select=in_order,
        draw=_each,
        describe=lambda frame: relief_alt(rises(frame), encoders(frame)),
    ),
)
