"""The table of what every method costs, drawn from its frozen measurement."""

from __future__ import annotations

import pandas as pd

from msam_lib.figures.item import FigureItem
from msam_lib.labels import display_names
from msam_lib.plots.table import Cell, Row, Table

# {(fusion, quantity measured): heading}
COLUMNS = {
    ("late", "epoch"): "late: epoch",
    ("late", "step"): "late: step",
    ("late", "memory"): "late: memory",
    ("late", "forward"): "late: forward",
    ("late", "backward"): "late: backward",
    ("maxout", "epoch"): "early: epoch",
    ("maxout", "memory"): "early: memory",
}
CAPTION = (
    "Cost of every method with two modalities as a multiple of joint training's: time of an epoch "
    "(with what is done between epochs) and of a step, peak memory of a step, forward and backward "
    "passes through the encoders in a step; small CNN, one CPU thread, one seed. Joint training "
    "against itself shows the noise of the timing; LookSAM's passes are those of every fifth step."
)


def cost_table(rows: pd.DataFrame) -> Table:
    """The table of costs as ratios to joint training, a row per method.

    Args:
        rows: of the summary of all comparisons with split `"cost"`.
    """
    value = rows.set_index(["label", "fusion", "metric"])["value"].to_dict()
    names = display_names(rows.loc[rows["fusion"].isin(["late", "maxout"]), "label"].unique())
    table_rows = [
        Row(
            name,
            tuple(
                Cell(value[label, *c], decimals=2) if (label, *c) in value else Cell()
                for c in COLUMNS
            ),
        )
        for label, name in names.items()
    ]
    return Table(CAPTION, tuple(COLUMNS.values()), tuple(table_rows))


def describe_costs(rows: pd.DataFrame) -> str:
    """The alternative text: the two cheapest methods and the three most expensive."""
    late = rows[(rows["fusion"] == "late") & (rows["metric"] == "epoch")]
    cost = late.set_index("label")["value"]
    names = display_names(cost.index)
    order = cost.sort_values()
    ends = [f"{names[k]} {v:.2f}" for k, v in [*order.head(2).items(), *order.tail(3).items()]]
    return (
        "Time of an epoch against joint training's, cheapest and most expensive: "
        f"{', '.join(ends)}."
    )


ITEM = FigureItem(
    name="table_methods_cost",
    title="What every method costs",
    caption=CAPTION,
    needs="methods",
    select=lambda frame: frame[frame["split"] == "cost"],
    draw=cost_table,
    describe=describe_costs,
)
