"""Interactive pictures of stored results: epochs, methods, label noise. Imports torch only where a
method's card is shown.
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from msam_lib.catalogue import METHODS
from msam_lib.interactive.explorer import Explorer
from msam_lib.interactive.method_card import Card, as_html, card
from msam_lib.labels import display_names
from msam_lib.plots.browser import epoch_view, gains
from msam_lib.plots.comparison import dot_chart
from msam_lib.results.comparison import accuracy_rows, against_joint, with_noise
from msam_lib.results.frame import reported_epoch
from msam_lib.results.rows import choose, metric_rows
from msam_lib.results.summary import summary


def epoch_scrubber(frame: pd.DataFrame, *, split: str = "test") -> Explorer:
    """An explorer of trainings: choose a method and an epoch, see accuracies and contributions.

    Args:
        frame: tidy rows of one data set and one fusion, all epochs.
        split: where it was measured.
    """
    names = choose(frame, None, without=["unimodal"])
    means = {metric: _by_epoch(frame, metric, split) for metric in ("accuracy", "contribution")}
    labels = {name: label for label, name in names.items()}
    # {(method shown, metric): means by epoch and modality}
    points = {
        (name, metric): rows[rows["label"] == label]
        for name, label in labels.items()
        for metric, rows in means.items()
    }

    def draw(method: str, epoch: int) -> Figure:
        accuracy, shares = points[method, "accuracy"], points[method, "contribution"]
        return epoch_view(accuracy, shares, epoch, f"{method}, epoch {epoch}")

    def alt(method: str, epoch: int) -> str:
        parts = []
        for metric in ("accuracy", "contribution"):
            rows = points[method, metric]
            now = rows[rows["epoch"] == epoch].set_index("modality")["mean"]
            parts.append(f"{metric} " + ", ".join(f"{m} {v:.0f} %" for m, v in now.items()))
        return f"{method} after epoch {epoch}: {'; '.join(parts)}."

    epochs = sorted(int(e) for e in means["contribution"]["epoch"].unique())
    return Explorer(
        draw,
        {"method": list(labels), "epoch": epochs},
        alt,
        start={"epoch": epochs[-1]},
        play="epoch",
    )


def _by_epoch(frame: pd.DataFrame, metric: str, split: str) -> pd.DataFrame:
    """Means over seeds in percent: columns label, modality, epoch, mean."""
    rows = summary(metric_rows(frame, metric, split), by=["epoch"])
    return rows.assign(mean=100 * rows["mean"])[["label", "modality", "epoch", "mean"]]


def method_browser(frame: pd.DataFrame) -> Explorer:
    """An explorer of the methods: choose one, see its card and its accuracies against joint
    training's on every data set.

    Args:
        frame: the frozen comparison of all methods, `results.load("methods")`.
    """
    measured = set(frame["label"])
    # {title: method}; joint training itself has no difference to show.
    names = {row.title: m for m, row in METHODS.items() if m in measured and m != "joint"}

    # A card reads its docstring and the whole frame: once per method.
    @functools.cache
    def known(method: str) -> Card:
        return card(names[method], frame)

    def draw(method: str) -> Figure:
        return gains(against_joint(frame, names[method]))

    def alt(method: str) -> str:
        rows = against_joint(frame, names[method])
        fused = rows[rows["modality"] == "fused"]
        differences = ", ".join(f"{r.comparison} {r.mean:+.1f}" for r in fused.itertuples())
        return f"{method}, fused test accuracy minus joint training's in points: {differences}."

    def note(method: str) -> str:
        return as_html(known(method))

    title = METHODS["msam"].title
    start = title if title in names else next(iter(names))
    return Explorer(draw, {"method": list(names)}, alt, start={"method": start}, note=note)


def noise_explorer(frame: pd.DataFrame) -> Explorer:
    """An explorer of label noise: choose the share of wrong labels and the accuracy to show, see
    every method, the best on top.

    Args:
        frame: the frozen runs under label noise, `results.load("noise_digits")`; a label is
            `method@share of wrong labels`.
    """
    rows = noise_rows(frame)
    noises = sorted(round(100 * float(n)) for n in rows["noise"].unique())
    quantities = list(dict.fromkeys(["fused", *rows["quantity"]]))

    def chosen(wrong_labels: int, accuracy_of: str) -> pd.DataFrame:
        # The control shows whole percents.
        near = np.isclose(rows["noise"], wrong_labels / 100)
        return rows[near & (rows["quantity"] == accuracy_of)]

    def draw(wrong_labels: int, accuracy_of: str) -> Figure:
        label = f"test accuracy of {accuracy_of} (%), {wrong_labels} % of the labels wrong"
        return dot_chart(chosen(wrong_labels, accuracy_of), xlabel=label, marked=("M-SAM",))

    def alt(wrong_labels: int, accuracy_of: str) -> str:
        best = chosen(wrong_labels, accuracy_of).sort_values("mean", ascending=False)
        means = ", ".join(f"{r.name} {r.mean:.1f}" for r in best.itertuples(index=False))
        return f"{wrong_labels} % wrong labels, test accuracy of {accuracy_of} in percent: {means}."

    titles = {"wrong_labels": "wrong labels (%)", "accuracy_of": "accuracy of"}
    controls = {"wrong_labels": noises, "accuracy_of": quantities}
    return Explorer(draw, controls, alt, titles=titles)


def noise_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval (percent) by method, noise and modality: columns name, kind, noise (a
    share), quantity, mean, low, high.
    """
    accuracy = with_noise(accuracy_rows(reported_epoch(frame)))
    parts = []
    for noise, part in accuracy.groupby("noise"):
        rows = summary(part)
        methods = part.drop_duplicates("label").set_index("label")["method"]
        names = display_names(rows["label"].unique())
        kinds = {label: METHODS[method].kind for label, method in methods.items()}
        columns = {"name": rows["label"].map(names), "kind": rows["label"].map(kinds)}
        columns |= {k: 100 * rows[k] for k in ("mean", "low", "high")}
        parts.append(pd.DataFrame(columns | {"noise": noise, "quantity": rows["modality"]}))
    return pd.concat(parts, ignore_index=True)
