"""Inside the encoders: traces over epochs, and what stands at the end of training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from msam_lib.figures.claims import ENCODERS
from msam_lib.figures.item import FigureItem
from msam_lib.labels import display_names
from msam_lib.plots.curvature import trace_alt, trace_curves
from msam_lib.plots.table import Cell, Row, Table
from msam_lib.results.encoders import at_end, dominant_and_weakest, over_epochs
from msam_lib.results.statistics import t_interval

SHOWN = {  # measurement: (words, factor, decimals)
    "hessian_trace": ("trace", 1, 0),
    "eigenvalue": ("largest eigenvalue", 1, 1),
    "probe_accuracy": ("linear probe (%)", 100, 1),
    "margin": ("margin (points)", 100, 1),
}


def traces(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of traces, as `plots.curvature` takes them."""
    return frame[frame["metric"] == "hessian_trace"].assign(split="probe")


def finding(frame: pd.DataFrame) -> str:
    """By what factor each encoder's trace grows from its first measurement after the start to its
    last under joint training (geometric mean over seeds).
    """
    strong, weak = dominant_and_weakest(frame)
    said = []
    for m in (weak, strong):
        table = over_epochs(frame, "hessian_trace", "joint", m)
        table = table[[c for c in table if c > 0]]
        grown = np.exp(np.log(table.iloc[:, -1] / table.iloc[:, 0]).mean())
        said.append(f"{m}'s to {grown:.1f} times")
    return f"Traces under joint training, from the first measurement to the last: {', '.join(said)}"


TRACES = FigureItem(
    name="encoder_traces_late",
    title="Traces of both encoders over epochs",
    caption=lambda frame: (
        f"{finding(frame)}. Hessian trace of each encoder over the epochs of training on the "
        "embedded AV-MNIST, late fusion, every method with the values that its search chose; mean "
        "and 95 % interval over 10 seeds."
    ),
    needs=ENCODERS,
    draw=lambda frame: trace_curves(traces(frame), scale="log", columns=3),
    describe=lambda frame: f"{finding(frame)}. {trace_alt(traces(frame))}",
)


def encoders_table(frame: pd.DataFrame) -> Table:
    """A row per method, a column per measurement and modality."""
    names = display_names(frame["label"].unique())
    modalities = sorted(frame.loc[frame["metric"] == "margin", "modality"].unique())
    columns = tuple(f"{m}: {words}" for words, *_ in SHOWN.values() for m in modalities)
    rows = []
    for label, name in names.items():
        cells = []
        for metric, (_, factor, decimals) in SHOWN.items():
            for m in modalities:
                found = t_interval(factor * at_end(frame, metric, label, m).dropna())
                half = found.high - found.mean
                cells.append(Cell(found.mean, half, found.n, decimals=decimals))
        rows.append(Row(name, tuple(cells)))
    return Table(CAPTION, columns, tuple(rows))


CAPTION = (
    "Both encoders at the end of training on the embedded AV-MNIST, late fusion, tuned: Hessian "
    "trace and largest eigenvalue of the training loss in each encoder (1,000 samples), test "
    "accuracy of a linear probe on its frozen features, and mean margin of its own logits on test "
    "data (probability of the right class minus that of the most probable wrong one). Mean ± "
    "half-width of the 95 % interval over 10 seeds."
)
TABLE = FigureItem(
    name="table_encoders_late",
    title="Both encoders at the end of training",
    caption=CAPTION,
    needs=ENCODERS,
    draw=encoders_table,
    describe=lambda frame: f"{CAPTION.partition(':')[0]}: {finding(frame)}.",
)

ITEMS = (TRACES, TABLE)
