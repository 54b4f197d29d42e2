"""What is inside each encoder, as effects that a claim predicts to be positive."""

from __future__ import annotations

import numpy as np
import pandas as pd

from msam_lib.labels import display_names
from msam_lib.results.claims import Effect, effect

WORDS = {
    "hessian_trace": "Hessian's trace",
    "eigenvalue": "largest eigenvalue",
    "spectral_rms": "root mean square of the spectrum",
}


def over_epochs(frame: pd.DataFrame, metric: str, label: str, modality: str) -> pd.DataFrame:
    """A measurement of one encoder: a row per seed, a column per epoch.

    Args:
        frame: frozen encoders, see `experiments.freeze.encoders`.
        metric: its name.
        label: of the method.
        modality: whose encoder.
    """
    rows = frame[
        (frame["metric"] == metric) & (frame["label"] == label) & (frame["modality"] == modality)
    ]
    return rows.pivot_table(index="seed", columns="epoch", values="value")


def at_end(frame: pd.DataFrame, metric: str, label: str, modality: str) -> pd.Series:
    """The last value over epochs, by seed."""
    return over_epochs(frame, metric, label, modality).iloc[:, -1]


def dominant_and_weakest(frame: pd.DataFrame, label: str = "joint") -> tuple[str, str]:
    """(dominant, weakest) modality by their mean shares of the accuracy at the end of training."""
    names = sorted(frame.loc[frame["metric"] == "contribution", "modality"].unique())
    shares = {m: float(at_end(frame, "contribution", label, m).mean()) for m in names}
    return max(names, key=shares.__getitem__), min(names, key=shares.__getitem__)


def flatter(frame: pd.DataFrame, label: str = "joint") -> list[Effect]:
    """The weakest modality's curvature over the dominant one's, as the natural logarithm of their
    ratio by seed: trace, largest eigenvalue, spectrum.
    """
    strong, weak = dominant_and_weakest(frame)
    effects = []
    for metric, words in WORDS.items():
        ratio = at_end(frame, metric, label, weak) / at_end(frame, metric, label, strong)
        logs = np.log(ratio[ratio > 0])  # a negative trace has no logarithm
        effects.append(effect(f"log of {words}, {weak} over {strong}, {_name(label)}:", logs, ""))
    return effects


def dragged(frame: pd.DataFrame, label: str = "joint") -> list[Effect]:
    """How much each encoder's trace grows from its first measurement after the start to its last:
    the logarithm of the weakest one's growth minus that of the dominant one's, by seed.
    """
    strong, weak = dominant_and_weakest(frame)
    grown = {}
    for m in (strong, weak):
        table = over_epochs(frame, "hessian_trace", label, m)
        table = table[[c for c in table if c > 0]]
        grown[m] = np.log(table.iloc[:, -1] / table.iloc[:, 0])
    return [
        effect(f"log of the trace's growth, {weak}, {_name(label)}:", grown[weak].dropna(), ""),
        effect(
            f"the same, {weak} minus {strong}, {_name(label)}:",
            (grown[weak] - grown[strong]).dropna(),
            "",
        ),
    ]


def probes_beat(frame: pd.DataFrame, alone: pd.DataFrame, label: str) -> list[Effect]:
    """Test accuracy of a linear probe on a jointly trained encoder minus that of the modality
    trained by itself, in points, by seed.

    Args:
        frame: frozen encoders.
        alone: a row per modality, a column per seed, in percent.
        label: of the method.
    """
    effects = []
    for m in alone.index:
        probe = 100 * at_end(frame, "probe_accuracy", label, m)
        effects.append(
            effect(
                f"probe of {m} under {_name(label)} - {m} trained alone:",
                (probe - alone.loc[m]).dropna(),
            )
        )
    return effects


def wider_margins(frame: pd.DataFrame, a: str, b: str) -> list[Effect]:
    """Mean confidence margin of every modality's own logits under method a minus under b, in
    points of probability, by seed.
    """
    names = sorted(frame.loc[frame["metric"] == "margin", "modality"].unique())
    return [
        effect(
            f"margin of {m}, {_name(a)} - {_name(b)}:",
            100 * (at_end(frame, "margin", a, m) - at_end(frame, "margin", b, m)).dropna(),
        )
        for m in names
    ]


def score_finds_dominant(frame: pd.DataFrame, label: str = "masam") -> list[Effect]:
    """Share of epochs in which the modality with MASAM's highest mean score is the one with the
    largest Shapley share, minus that of a guess, in points, by seed.
    """
    rows = frame[(frame["label"] == label) & frame["metric"].isin(("score", "contribution"))]
    tables = {
        metric: part.pivot_table(index=["seed", "epoch"], columns="modality", values="value")
        for metric, part in rows.groupby("metric")
    }
    both = tables["score"].index.intersection(tables["contribution"].index)
    agree = tables["score"].loc[both].idxmax(axis=1) == tables["contribution"].loc[both].idxmax(
        axis=1
    )
    share = 100 * agree.groupby(level="seed").mean() - 100 / tables["score"].shape[1]
    return [effect("epochs in which both name the same modality - chance:", share)]


def _name(label: str) -> str:
    return display_names([label])[label]
