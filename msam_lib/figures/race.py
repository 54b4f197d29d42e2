"""The moving picture of dominance: two encoders, trained jointly and by a balancing method."""

from __future__ import annotations

import pandas as pd

from msam_lib.catalogue import METHODS
from msam_lib.figures.item import FigureItem
from msam_lib.plots.curves import unimodal_accuracy
from msam_lib.plots.race import Race, race
from msam_lib.plots.style import modality_order
from msam_lib.results.comparison import accuracy_rows

SHOWN = ("joint", "masam")
TITLE = "Trained together, one encoder wins and the other one stops early"


def _curves(frame: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """{method: {modality: test accuracy (%) at every epoch, others absent, mean over seeds}}."""
    rows = accuracy_rows(frame)
    rows = rows[rows["fusion"] == "maxout"]
    means = 100 * rows.groupby(["label", "modality", "epoch"])["value"].mean()
    return {
        METHODS[label].title: {m: list(means.loc[(label, m)]) for m in _modalities(frame)}
        for label in SHOWN
    }


def _modalities(frame: pd.DataFrame) -> list[str]:
    """Those of the frame, in drawing order."""
    return modality_order(set(frame["modality"]) - {"fused"})


def _alone(frame: pd.DataFrame) -> dict[str, float]:
    """{modality: test accuracy (%) of a network of its own}, in drawing order."""
    alone = unimodal_accuracy(frame[frame["method"] == "unimodal"])
    return {m: 100 * alone[m] for m in _modalities(frame)}


def _describe(frame: pd.DataFrame) -> str:
    alone = _alone(frame)
    parts = []
    for method, lanes in _curves(frame).items():
        said = [f"{m} {c[-1]:.0f} of the {alone[m]:.0f} % it reaches alone"
                for m, c in lanes.items()]  # fmt: skip
        parts.append(f"under {method} {' and '.join(said)}")
    return (
        "Two bars per method grow with the epochs, the test accuracy of each modality while the "
        f"other one is absent: in the end {'; '.join(parts)}."
    )


def _draw(frame: pd.DataFrame) -> Race:
    return race(_curves(frame), _alone(frame), title=TITLE, alt=_describe(frame))


ITEM = FigureItem(
    name="race",
    title="Two encoders racing",
    caption="Test accuracy of each modality over the epochs, the other one absent, as a share of "
    "what it reaches in a network of its own (the dashed line): joint training, MASAM; AV-MNIST, "
    "early fusion, preset teach, means over seeds.",
    needs="methods_avmnist",
    draw=_draw,
    describe=_describe,
    formats=("svg",),
)
