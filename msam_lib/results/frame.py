"""The form of the results: tidy frames, and the epoch of each run that is reported."""

from __future__ import annotations

import pandas as pd

from msam_lib.errors import MsamError, unknown_name
from msam_lib.results.headline import headline_of

IDENTITY = ["dataset", "fusion", "method", "label", "seed", "preset", "run"]
COLUMNS = [*IDENTITY, "epoch", "step", "split", "modality", "metric", "value"]


def reported_epoch(frame: pd.DataFrame, select: str = "val") -> pd.DataFrame:
    """The rows of one epoch of each run: the one with the best fused accuracy (or other headline
    metric) on the validation split (the first of equals; the test split is never looked at), or the
    last.

    Args:
        frame: tidy rows.
        select: `"val"` or `"last"`.

    Raises:
        MsamError: an unknown choice, or a run without that metric.
    """
    if select not in ("val", "last"):
        raise unknown_name("select", select, ["val", "last"])
    if select == "last":
        chosen = frame.groupby("run")["epoch"].max()
    else:
        key = (frame["split"] == "val") & (frame["modality"] == "fused")
        headline = headline_of(frame[key])
        val = frame[key & (frame["metric"] == headline.metric)]
        if lacking := sorted(set(frame["run"]) - set(val["run"])):
            raise MsamError(
                f"No fused validation {headline.metric} for {', '.join(lacking[:3])}; "
                "select='val' needs it. Use select='last'."
            )
        # The best value first, and of equal values the first epoch.
        upwards = not headline.higher_is_better
        best = val.sort_values(["value", "epoch"], ascending=[upwards, True], kind="stable")
        chosen = best.groupby("run")["epoch"].first()
    return frame[frame["epoch"] == frame["run"].map(chosen)].reset_index(drop=True)
