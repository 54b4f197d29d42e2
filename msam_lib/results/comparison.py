"""The comparison of all methods: accuracies (for another task its headline metric), ranks,
differences to joint training.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from msam_lib.catalogue import METHODS
from msam_lib.labels import Comparison, display_names
from msam_lib.results.frame import reported_epoch
from msam_lib.results.headline import Headline, headlines
from msam_lib.results.rows import one_epoch_per_run
from msam_lib.results.statistics import Ranks, average_ranks
from msam_lib.results.summary import intervals

FUSED, WEAKEST = "the whole model", "the weakest modality"
HEAD = "the weakest modality by its own head"
REFERENCE = "unimodal"


def accuracy_rows(
    frame: pd.DataFrame, modality: str | None = None, *, by_head: bool = False
) -> pd.DataFrame:
    """The rows of test accuracy, in [0, 1], or of each data set's headline metric, of one modality
    (or `"fused"`) or of all: of the whole network, or of the modality's own logits.
    """
    metric = frame["dataset"].map(
        {name: h.measured[1] if by_head else h.metric for name, h in headlines(frame).items()}
    )
    rows = frame[(frame["split"] == "test") & (frame["metric"] == metric)]
    return rows if modality is None else rows[rows["modality"] == modality]


def shown_values(rows: pd.DataFrame, chosen: Mapping[str, Headline]) -> pd.Series:
    """The values of rows as they are shown: shares in percent, errors in the unit of the labels."""
    factor = rows["dataset"].map({name: h.factor for name, h in chosen.items()})
    return rows["value"] * factor.astype(float)  # of no rows, too


def accuracies(
    frame: pd.DataFrame, modality: str = "fused", *, by_head: bool = False
) -> pd.DataFrame:
    """Test accuracy in percent at the reported epoch (of another task its headline metric; errors
    in the unit of the labels), one row per (dataset, fusion, label), one column per seed; a frame
    with one epoch of each run (`methods`) holds the reported ones.

    Args:
        frame: tidy rows of comparisons.
        modality: or the whole model.
        by_head: of the modality's own logits, where there are any.

    Raises:
        MsamError: several epochs, and no validation accuracy to choose by.
    """
    rows = accuracy_rows(one_epoch_per_run(frame), modality, by_head=by_head)
    keys = ["dataset", "fusion", "label"]
    rows = rows.assign(value=shown_values(rows, headlines(frame)))
    return rows.pivot_table(index=keys, columns="seed", values="value")


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of data sets, without those of costs."""
    return frame[frame["split"] != "cost"]


def compared(frame: pd.DataFrame, what: str = FUSED) -> dict[Comparison, pd.DataFrame]:
    """{data set and fusion: accuracies (see `accuracies`) of the whole model, or of the modality
    that is worst under joint training}, each a row per method, a column per seed.

    Args:
        frame: tidy rows of comparisons.
        what: `FUSED`; `WEAKEST`, with the other modalities absent; or `HEAD`, of the same modality
            by its own logits, only where joint training has them: not with MaxOut.
    """
    frame = one_epoch_per_run(frame)  # once, not for every modality
    whole, chosen = accuracies(frame), headlines(frame)
    tables: dict[Comparison, pd.DataFrame] = {}
    own = functools.cache(functools.partial(accuracies, frame))
    for key in whole.index.droplevel("label").unique():
        if what == FUSED:
            tables[Comparison(*key)] = whole.xs(key)
            continue
        # The weakest modality is the same for all methods: the one worst under joint training.
        names = set(frame.loc[frame["dataset"] == key[0], "modality"]) - {"fused"}
        joint = {m: own(m).loc[(*key, "joint")].mean() for m in sorted(names)}
        weakest = min(joint, key=lambda m: chosen[key[0]].sign * joint[m])
        table = own(weakest, by_head=True) if what == HEAD else own(weakest)
        if (*key, "joint") in table.index:
            tables[Comparison(*key)] = table.xs(key)
    return tables


def scores(frame: pd.DataFrame, labels: Sequence[str] = ()) -> pd.DataFrame:
    """Mean fused accuracy (%), larger is better: errors have a minus sign. A row per comparison, a
    column per method.

    Args:
        frame: tidy rows of comparisons.
        labels: the methods; only comparisons that hold all of them count. By default all methods
            that are in every comparison; one of fewer than three quarters of the methods of the
            largest comparison is left out: it would leave few to rank.
    """
    fused = accuracy_rows(frame, "fused")
    fused = fused[fused["label"] != REFERENCE]
    chosen = headlines(frame)
    means = fused.pivot_table(index=["dataset", "fusion"], columns="label", values="value")
    if labels:
        means = means.reindex(columns=list(labels)).dropna()
    counts = means.notna().sum(axis=1)
    means = means[counts >= 0.75 * counts.max()]
    factors = [chosen[name].sign * chosen[name].factor for name, _ in means.index]
    # What differs by rounding alone is equal.
    return means.dropna(axis=1).mul(factors, axis=0).round(9)


def ranks(frame: pd.DataFrame, labels: Sequence[str] = ()) -> tuple[list[str], Ranks]:
    """Names and average ranks of some methods, or of all in every comparison; see `scores`."""
    table = scores(frame, labels)
    names = display_names(table.columns)
    return [names[c] for c in table.columns], average_ranks(table.to_numpy())


def against_cost(gained: Mapping[Comparison, pd.DataFrame], frame: pd.DataFrame) -> pd.DataFrame:
    """Points of every method: the time x of an epoch as a multiple of joint training's, and the
    gain y over tuned joint training (points), which lies at (1, 0); columns dataset, fusion, label,
    name, kind and panel, without methods whose cost was not measured.

    Args:
        gained: {data set and fusion: rows of `results.gains.gains`}.
        frame: the summary of all comparisons, which holds the costs.
    """
    costs = frame[(frame["split"] == "cost") & (frame["metric"] == "epoch")]
    cost = costs.set_index(["fusion", "label"])["value"]
    parts = []
    for where, table in gained.items():
        joint = pd.DataFrame(
            {"label": ["joint"], "name": display_names(["joint"])["joint"], "fused": 0.0}
        )
        rows = pd.concat([joint, table[["label", "name", "fused"]]], ignore_index=True)
        methods = rows["label"].str.partition(":")[0]
        parts.append(
            rows.rename(columns={"fused": "y"}).assign(
                dataset=where.dataset,
                fusion=where.fusion,
                panel=where.name,
                kind=methods.map({n: row.kind for n, row in METHODS.items()}),
                x=[cost.get((where.fusion, k), np.nan) for k in rows["label"]],
            )
        )
    points = pd.concat(parts, ignore_index=True)
    points.loc[points["label"] == "joint", "x"] = 1.0
    return points.dropna(subset="x")


def against_imbalance(frame: pd.DataFrame) -> pd.DataFrame:
    """Points of every method with two modalities: the share x of the dominant one in the accuracy
    (%), and the accuracy y (%); columns as of `_points`.
    """
    shares = frame[(frame["metric"] == "contribution") & (frame["split"] == "test")]
    keys = ["dataset", "fusion", "label"]
    mean = shares.groupby([*keys, "modality"])["value"].mean()
    largest = 100 * mean.groupby(level=keys).max()
    points = _points(frame)
    points = points[points["dataset"].isin(["avmnist", "digits"])]
    points = points.assign(x=[largest.get(tuple(k), np.nan) for k in points[keys].to_numpy()])
    return points.dropna(subset="x")


def _points(frame: pd.DataFrame) -> pd.DataFrame:
    """A point per data set, fusion and method, for `plots.comparison.accuracy_against`: columns
    dataset, fusion, label, name, kind, panel, and y, the fused accuracy (%), mean over seeds.
    """
    rows = accuracy_rows(frame, "fused")
    means = rows.groupby(["dataset", "fusion", "method", "label"])["value"].mean().reset_index()
    names = display_names(means["label"])
    return means.assign(
        name=means["label"].map(names),
        kind=means["method"].map({n: row.kind for n, row in METHODS.items()}),
        y=100 * means["value"],
        panel=[Comparison(*w).name for w in means[["dataset", "fusion"]].itertuples(index=False)],
    )


def noise_summary(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Fused test accuracy with its 95 % interval by method and share of wrong labels: columns
    label, noise (a share), mean, low, high (percent); and the methods' names to show.

    Args:
        frame: rows of the frozen runs under label noise, see `with_noise`.
    """
    rows = with_noise(accuracy_rows(reported_epoch(frame), "fused"))
    out = 100 * intervals(rows.groupby(["label", "noise"])["value"])[["mean", "low", "high"]]
    out = out.reset_index()
    return out, display_names(out["label"].unique())


def with_noise(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with labels `"method@share"` split: `label` the method, `noise` the share."""
    parts = rows["label"].str.rpartition("@")
    return rows.assign(label=parts[0], noise=parts[2].astype(float))


def against_joint(frame: pd.DataFrame, label: str) -> pd.DataFrame:
    """How much better than joint training, paired by seed: columns comparison, modality, mean, low,
    high (accuracy minus joint training's in points, joint training's error minus this one's in the
    unit of the labels; 95 % Student-t interval), seeds, accuracy (of this method, see
    `accuracies`).

    Args:
        frame: rows of the frozen comparison of all methods.
        label: the method's label.
    """
    rows, chosen = accuracy_rows(frame), headlines(frame)
    rows = rows.assign(value=shown_values(rows, chosen))
    keys = ["dataset", "fusion", "modality", "seed"]
    accuracy = rows[rows["label"] == label].set_index(keys)["value"]
    joint = rows[rows["label"] == "joint"].set_index(keys)["value"]
    pairs = pd.DataFrame({"accuracy": accuracy, "gain": accuracy - joint}).dropna()
    signs = {name: h.sign for name, h in chosen.items()}
    pairs["gain"] *= pairs.index.get_level_values("dataset").map(signs).astype(float)
    groups = pairs.groupby(level=keys[:3], sort=False)
    out = intervals(groups["gain"]).rename(columns={"n": "seeds"}).reset_index()
    out["comparison"] = out["dataset"] + ", " + out["fusion"]
    out["accuracy"] = groups["accuracy"].mean().to_numpy()
    return out[["comparison", "modality", "mean", "low", "high", "seeds", "accuracy"]]
