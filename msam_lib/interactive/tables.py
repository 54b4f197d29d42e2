"""Interactive tables: the comparisons of methods, sorted by a chosen column. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.catalogue import METHODS
from msam_lib.interactive.explorer import Explorer
from msam_lib.labels import display_names
from msam_lib.plots.comparison import dot_chart
from msam_lib.results.comparison import accuracy_rows, shown_values
from msam_lib.results.frame import reported_epoch
from msam_lib.results.headline import HEADLINES, headlines
from msam_lib.results.summary import intervals

START = "M-SAM"  # highlighted first


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval (percent; errors in the unit of the labels) of every method at its
    reported epoch: columns comparison, quantity, name, kind, mean, low, high, metric.

    Args:
        frame: rows of one frozen comparison, one or more fusions.
    """
    keys = ["dataset", "fusion", "label", "method", "modality"]
    chosen, accuracy = headlines(frame), accuracy_rows(reported_epoch(frame))
    accuracy = accuracy.assign(value=shown_values(accuracy, chosen))
    rows = intervals(accuracy.groupby(keys)["value"]).reset_index()
    return pd.DataFrame(
        {
            "comparison": rows["dataset"] + ", " + rows["fusion"],
            "quantity": rows["modality"],
            "name": rows["label"].map(display_names(rows["label"].unique())),
            "kind": rows["method"].map({name: row.kind for name, row in METHODS.items()}),
            "mean": rows["mean"],
            "low": rows["low"],
            "high": rows["high"],
            "metric": rows["dataset"].map({name: h.metric for name, h in chosen.items()}),
        }
    )


def table_explorer(
    frames: Mapping[str, pd.DataFrame],
    paper: Mapping[str, Mapping[str, float]] | None = None,
) -> Explorer:
    """An explorer of the comparisons: choose one, the accuracy to sort by (fused, or of the weakest
    modality), and a method to highlight; the paper's numbers are shown where there are any.

    Args:
        frames: {data set: frozen comparison}.
        paper: {comparison, e.g. "avmnist, late": {method's name: its fused accuracy in percent}}.
    """
    rows = pd.concat([measured(f) for f in frames.values()], ignore_index=True)
    comparisons = list(dict.fromkeys(rows["comparison"]))
    weakest = {}  # {comparison: the modality with the lowest accuracy, averaged over methods}
    for c in comparisons:
        alone = rows[(rows["comparison"] == c) & (rows["quantity"] != "fused")]
        means = HEADLINES[alone["metric"].iloc[0]].sign * alone.groupby("quantity")["mean"].mean()
        weakest[c] = str(means.idxmin())

    def chosen(comparison: str, sort_by: str) -> tuple[str, pd.DataFrame]:
        quantity = "fused" if sort_by == "fused" else weakest[comparison]
        selected = rows[(rows["comparison"] == comparison) & (rows["quantity"] == quantity)]
        if quantity == "fused" and paper and comparison in paper:
            selected = selected.assign(paper=selected["name"].map(paper[comparison]))
        return quantity, selected

    def draw(comparison: str, sort_by: str, highlight: str) -> Figure:
        quantity, selected = chosen(comparison, sort_by)
        headline = HEADLINES[selected["metric"].iloc[0]]
        unit = " (%)" if headline.factor == 100 else ""
        label = f"test {headline.metric} of {quantity}{unit}, {comparison}"
        best_first = {"higher_is_better": headline.higher_is_better}
        return dot_chart(selected, xlabel=label, marked=(highlight,), **best_first)

    def alt(comparison: str, sort_by: str, highlight: str) -> str:
        quantity, selected = chosen(comparison, sort_by)
        headline = HEADLINES[selected["metric"].iloc[0]]
        best = selected.sort_values("mean", ascending=not headline.higher_is_better)
        leaders = ", ".join(
            f"{r.name} {r.mean:.{headline.decimals}f}" for r in best.head(3).itertuples(index=False)
        )
        what = f"{headline.metric} of {quantity} {headline.unit}"
        text = f"{comparison}, {what}, best first: {leaders}."
        if highlight not in set(selected["name"]):
            return f"{text} {highlight} is not in this comparison."
        place = list(best["name"]).index(highlight) + 1
        return f"{text} {highlight} is number {place} of {len(best)}."

    names = sorted(rows["name"].unique())
    start = {"highlight": START} if START in names else {}
    controls = {
        "comparison": comparisons,
        "sort_by": ["fused", "weakest modality"],
        "highlight": names,
    }
    return Explorer(draw, controls, alt, start=start)
