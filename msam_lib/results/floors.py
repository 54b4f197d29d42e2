"""What the best answer that ignores its input reaches: the floor under every column of a table."""

from __future__ import annotations

import pandas as pd

from msam_lib.results.headline import headline_of


def floors(frame: pd.DataFrame) -> pd.Series:
    """The floor of the headline metric by (dataset, fusion, seed), as the runs recorded it; empty
    where they did not (runs of older versions).

    Runs of one seed share the data and so the floor, except under wrong training labels, where the
    mean is taken.
    """
    keys = ["dataset", "fusion", "seed"]
    parts = [
        part[part["metric"] == headline_of(part).floor_metric]
        for _, part in frame.groupby("dataset", sort=False)
    ]
    rows = pd.concat(parts) if parts else frame[:0]
    return rows.groupby(keys)["value"].mean()


def counted(frame: pd.DataFrame) -> str:
    """A sentence on how many labels the macro means were taken; "" where there are none.

    A label without positives (or without negatives) in a split has no precision-recall curve.
    """
    rows = frame[frame["metric"].isin(["labels_counted", "labels"])]
    if rows.empty:
        return ""
    sentences = []
    for name, part in rows.groupby("dataset", sort=False):
        found = part.groupby("metric")["value"].agg(["min", "max"]).astype(int)
        low, high = found.loc["labels_counted"]
        of = f" of {found.loc['labels', 'max']}" if "labels" in found.index else ""
        number = f"{low}" if low == high else f"{low} to {high}"
        where = f" of {name}" if rows["dataset"].nunique() > 1 else ""
        sentences.append(
            f"Macro means{where} are over {number}{of} labels, those that have positives and "
            "negatives in the split."
        )
    return " ".join(sentences)
