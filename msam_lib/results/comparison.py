"""What the comparison of all methods says: accuracies, ranks, differences to joint training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from msam_lib.catalogue import METHODS
from msam_lib.labels import Comparison, display_names
from msam_lib.results.frame import reported_epoch
from msam_lib.results.statistics import Ranks, average_ranks
from msam_lib.results.summary import intervals

FUSED, WEAKEST = "the whole model", "the weakest modality"
REFERENCE = "unimodal"


def accuracies(frame: pd.DataFrame, modality: str = "fused") -> pd.DataFrame:
    """Test accuracy in percent at the reported epoch, one row per (dataset, fusion, label), one
    column per seed; a frame with one epoch of each run (`methods`) holds the reported ones.

    Raises:
        MsamError: several epochs, and no validation accuracy to choose by.
    """
    several = frame.groupby("run")["epoch"].nunique().max() > 1
    ends = reported_epoch(frame) if several else frame
    own = ends[(ends["split"] == "test") & (ends["metric"] == "accuracy")]
    own = own[own["modality"] == modality]
    keys = ["dataset", "fusion", "label"]
    return 100 * own.pivot_table(index=keys, columns="seed", values="value")


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of data sets, without those of costs."""
    return frame[frame["split"] != "cost"]


def compared(frame: pd.DataFrame, what: str = FUSED) -> dict[Comparison, pd.DataFrame]:
    """{data set and fusion: accuracies (%) of the whole model, or of the modality that is lowest
    under joint training}, a row per method, a column per seed.
    """
    whole = accuracies(frame)
    found = {}
    for key in whole.index.droplevel("label").unique():
        if what == FUSED:
            found[Comparison(*key)] = whole.xs(key)
            continue
        names = frame.loc[frame["dataset"] == key[0], "modality"].unique()
        several = [accuracies(frame, m).xs(key) for m in sorted(set(names) - {"fused"})]
        found[Comparison(*key)] = min(several, key=lambda t: float(t.loc["joint"].mean()))
    return found


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean fused accuracy (%): a row per comparison, a column per method that is in all of them."""
    own = frame[(frame["metric"] == "accuracy") & (frame["modality"] == "fused")]
    own = own[own["label"] != REFERENCE]
    means = own.pivot_table(index=["dataset", "fusion"], columns="label", values="value")
    return 100 * means.dropna(axis=1)


def ranks(frame: pd.DataFrame) -> tuple[list[str], Ranks]:
    """Names of the methods in every comparison, and their average ranks."""
    table = scores(frame)
    names = display_names(table.columns)
    return [names[c] for c in table.columns], average_ranks(table.to_numpy())


def against_cost(frame: pd.DataFrame) -> pd.DataFrame:
    """Points (cost of an epoch against joint training's, accuracy) of every method on AV-MNIST."""
    costs = frame[(frame["split"] == "cost") & (frame["metric"] == "epoch")]
    cost = costs.set_index(["fusion", "label"])["value"]
    own = _means(frame, "accuracy")
    own = own[own["dataset"] == "avmnist"]
    own["x"] = [
        cost.get((f, label), np.nan) for f, label in zip(own["fusion"], own["label"], strict=True)
    ]
    return own.dropna(subset="x")


def against_imbalance(frame: pd.DataFrame) -> pd.DataFrame:
    """Points (share of the dominant modality in %, accuracy) of every method, two modalities."""
    shares = frame[(frame["metric"] == "contribution") & (frame["split"] == "test")]
    keys = ["dataset", "fusion", "label"]
    mean = shares.groupby([*keys, "modality"])["value"].mean()
    largest = 100 * mean.groupby(level=keys).max()
    own = _means(frame, "accuracy")
    own = own[own["dataset"].isin(["avmnist", "digits"])]
    own = own.assign(x=[largest.get(tuple(k), np.nan) for k in own[keys].to_numpy()])
    return own.dropna(subset="x")


def _means(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean over seeds of the fused metric in percent as points: name, kind, y, panel."""
    own = frame[(frame["metric"] == metric) & (frame["modality"] == "fused")]
    own = own[own["split"] == "test"]
    means = own.groupby(["dataset", "fusion", "method", "label"])["value"].mean().reset_index()
    names = display_names(means["label"])
    return means.assign(
        name=means["label"].map(names),
        kind=means["method"].map({n: row.kind for n, row in METHODS.items()}),
        y=100 * means["value"],
        panel=means["dataset"] + ", " + means["fusion"],
    )


def noise_summary(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Accuracy (%) by method and share of wrong labels with its interval, and the names."""
    ends = reported_epoch(frame)
    own = ends[(ends["split"] == "test") & (ends["metric"] == "accuracy")]
    own = own[own["modality"] == "fused"]
    split = own["label"].str.rpartition("@")
    own = own.assign(label=split[0], noise=split[2].astype(float))
    out = 100 * intervals(own.groupby(["label", "noise"])["value"])[["mean", "low", "high"]]
    out = out.reset_index()
    return out, display_names(out["label"].unique())


def against_joint(frame: pd.DataFrame, label: str) -> pd.DataFrame:
    """Test accuracy minus joint training's, in points, seed by seed: columns comparison, modality,
    mean, low, high (95 % Student-t interval), seeds, accuracy (percent, of this method).

    Args:
        frame: rows of the frozen comparison of all methods.
        label: the method's label.
    """
    own = frame[(frame["metric"] == "accuracy") & (frame["split"] == "test")]
    keys = ["dataset", "fusion", "modality", "seed"]
    mine = own[own["label"] == label].set_index(keys)["value"]
    joint = own[own["label"] == "joint"].set_index(keys)["value"]
    pairs = pd.DataFrame({"accuracy": 100 * mine, "gain": 100 * (mine - joint)}).dropna()
    groups = pairs.groupby(level=keys[:3], sort=False)
    out = intervals(groups["gain"]).rename(columns={"n": "seeds"}).reset_index()
    out["comparison"] = out["dataset"] + ", " + out["fusion"]
    out["accuracy"] = groups["accuracy"].mean().to_numpy()
    return out[["comparison", "modality", "mean", "low", "high", "seeds", "accuracy"]]
