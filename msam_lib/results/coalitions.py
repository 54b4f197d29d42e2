"""The accuracy of every coalition of two modalities, from the rows that are frozen.

Frozen are the accuracy of each modality alone, of the whole model, and the modalities' shares of
the Shapley values. What the model reaches with every modality absent is not, but with two
modalities it follows: a - b = phi_a - phi_b and both - none = phi_a + phi_b (Shapley, 1953), so the
share s = phi_a / (phi_a + phi_b) gives both - none = (a - b) / (2 s - 1). With three or more
modalities the coalitions of two stay unknown.
"""

from __future__ import annotations

import pandas as pd

from msam_lib.errors import MsamError
from msam_lib.results.comparison import accuracy_rows
from msam_lib.results.rows import modalities_of
from msam_lib.results.summary import summary

MIN_IMBALANCE = 0.02  # of |2 s - 1|: nearer to balance, shares of four digits leave over 0.5 points


def pair_accuracies(frame: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy in [0, 1] of every coalition, mean over seeds: a row per label, columns
    `"none"`, the two modalities by name, and `"both"`.

    A seed tells what is reached with none only where both shares are above zero and not nearly
    equal; `"none"` is the mean of those, and labels without one such seed are left out.

    Args:
        frame: rows of one data set and one fusion, one epoch of each run (`reported_epoch`).

    Raises:
        MsamError: not two modalities.

    >>> rows = [("a", "accuracy", 0.5), ("b", "accuracy", 0.2), ("fused", "accuracy", 0.8),
    ...         ("a", "contribution", 0.5 / 0.7), ("b", "contribution", 0.2 / 0.7)]
    >>> frame = pd.DataFrame(rows, columns=["modality", "metric", "value"]).assign(
    ...     dataset="d", fusion="late", method="joint", label="joint", run="r", split="test")
    >>> pair_accuracies(frame).loc["joint"].round(3).to_dict()
    {'none': 0.1, 'a': 0.5, 'b': 0.2, 'both': 0.8}
    """
    names = sorted(modalities_of(frame))
    if len(names) != 2:
        raise MsamError(
            f"{len(names)} modalities ({', '.join(names)}); only with two of them do frozen rows "
            "tell the accuracy of every coalition."
        )
    first, second = names
    accuracy = accuracy_rows(frame)
    runs = accuracy.pivot(index=["label", "run"], columns="modality", values="value")
    shares = frame[(frame["split"] == "test") & (frame["metric"] == "contribution")]
    share = shares[shares["modality"] == first].set_index(["label", "run"])["value"]
    imbalance = 2 * share.reindex(runs.index) - 1
    known = (imbalance.abs() < 1) & (imbalance.abs() > MIN_IMBALANCE)
    none = (runs["fused"] - (runs[first] - runs[second]) / imbalance)[known]
    means = summary(accuracy).pivot(index="label", columns="modality", values="mean")
    out = means.assign(none=none.groupby(level="label").mean(), both=means["fused"])
    return out[["none", first, second, "both"]].dropna().rename_axis(columns=None)
