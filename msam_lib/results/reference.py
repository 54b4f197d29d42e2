"""Results measured here beside the reference in the repository: inside its interval or outside?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from msam_lib.labels import display_names
from msam_lib.results.headline import headline_of
from msam_lib.results.rows import one_epoch_per_run
from msam_lib.results.statistics import t_factor

INSIDE, ABOVE, BELOW = "inside", "above", "below"


def against_reference(own: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """One's own fused test results beside those of the reference, method by method.

    The interval is the 95 % prediction interval for a mean over as many seeds as were run here,
    given the reference's: mean ± t_(n-1) s sqrt(1/n + 1/m), n and m the seeds of both. Other
    processors give other numbers, run by run; where both measure the same, one row in twenty lies
    outside by chance.

    Args:
        own, reference: tidy rows of runs on the same data set, one or several epochs of each run.

    Returns:
        A row per fusion and label that both have: columns fusion, label, name, own, reference, low,
        high (in the units of the headline metric, times 100), seeds (own), place ("inside",
        "above" or "below"; "" where the reference has one seed).
    """
    metric = headline_of(own).metric
    both = [_by_method(frame, metric) for frame in (own, reference)]
    table = both[0].join(both[1].add_suffix("_reference"), how="inner").reset_index()
    n, m = table["count_reference"].to_numpy(), table["count"].to_numpy()
    half = table["std_reference"] * t_factor(n) * np.sqrt(1 + n / m)
    low, high = table["mean_reference"] - half, table["mean_reference"] + half
    place = np.select(
        [low.isna(), table["mean"] < low, table["mean"] > high], ["", BELOW, ABOVE], INSIDE
    )
    return pd.DataFrame(
        {
            "fusion": table["fusion"],
            "label": table["label"],
            "name": table["label"].map(display_names(table["label"])),
            "own": table["mean"],
            "reference": table["mean_reference"],
            "low": low,
            "high": high,
            "seeds": m,
            "place": place,
        }
    )


def reference_text(table: pd.DataFrame) -> str:
    """The result of `against_reference` as a Markdown table, with a sentence below it."""
    lines = [
        "| fusion | method | here | reference | 95 % interval for such a mean | |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for row in table.itertuples(index=False):
        interval = f"{row.low:.1f} to {row.high:.1f}" if row.place else "one seed"
        lines.append(
            f"| {row.fusion} | {row.name} | {row.own:.1f} | {row.reference:.1f} | {interval} | "
            f"{row.place} |"
        )
    counted = table[table["place"] != ""]
    inside = int((counted["place"] == INSIDE).sum())
    lines += [
        "",
        f"{inside} of {len(counted)} means lie inside the reference's interval; by chance alone "
        f"about {0.95 * len(counted):.0f} would.",
        "",
    ]
    return "\n".join(lines)


def _by_method(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean, standard deviation and number of seeds of fused test results, times 100."""
    rows = one_epoch_per_run(frame)
    rows = rows[
        (rows["split"] == "test") & (rows["modality"] == "fused") & (rows["metric"] == metric)
    ]
    values = 100 * rows.set_index(["fusion", "label"])["value"]
    return values.groupby(level=["fusion", "label"], sort=False).agg(["mean", "std", "count"])
