"""Claims on what is inside the encoders, each with its test."""

from __future__ import annotations

import pandas as pd

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.figures.claims import ENCODERS, OWN, Claim, Frames
from msam_lib.results import encoders
from msam_lib.results.claims import IN_PART, Effect, effect
from msam_lib.results.comparison import accuracies

MSAM, MASAM = "M-SAM (arXiv 2510.24919)", "MASAM (ICLR 2026)"
WHERE = f"{DEFAULT_DATASET}, late fusion, tuned"


def _probes(f: Frames) -> list[Effect]:
    """Linear probes on the encoders of joint training and MASAM against unimodal training."""
    frame, own = f[ENCODERS], f[OWN]
    names = sorted(frame.loc[frame["metric"] == "probe_accuracy", "modality"].unique())
    own = own[own["fusion"] == "late"]
    alone = {m: accuracies(own, m).xs("unimodal", level="label").iloc[0] for m in names}
    table = pd.DataFrame(alone).T
    return [
        e for label in ("joint", "msam", "masam") for e in encoders.probes_beat(frame, table, label)
    ]


def _cost(f: Frames) -> list[Effect]:
    """An epoch of M-SAM over one of SAM, in percent more, over networks and fusions."""
    rows = f["costs"]
    rows = rows[(rows["quantity"] == "epoch") & (rows["against"] == "joint")]
    table = rows[rows["name"].isin(("sam", "msam"))].pivot(
        index="setting", columns="name", values="ratio"
    )
    more = 100 * (table["msam"] / table["sam"] - 1).dropna()
    return [effect("an epoch of M-SAM over one of SAM (n: settings):", more, "%")]


GEOMETRY: tuple[Claim, ...] = (
    Claim(
        "The dominant modality lands in flat minima",
        f"{MSAM}, talk",
        "Hessian traces, largest eigenvalues and spectra (stochastic Lanczos quadrature) of both "
        f"encoders at the end of joint training, {WHERE}: the weaker one's over the dominant one's",
        lambda f: encoders.flatter(f[ENCODERS]),
        "encoder_traces_late",
        "06_curvature_per_modality",
        "With perceptrons; with convolutions, in notebook 14, the dominant encoder is the sharper.",
        most=IN_PART,
    ),
    Claim(
        "In late fusion a modality's encoder is first flat, then dragged into sharp regions by the "
        "other",
        f"{MASAM}, the observation that motivates it",
        f"Hessian traces of both encoders over epochs of joint training, {WHERE}: growth of the "
        "weaker one's, and its growth beyond the dominant one's",
        lambda f: encoders.dragged(f[ENCODERS]),
        "encoder_traces_late",
        "06_curvature_per_modality",
        "That the other modality causes it is not tested: traces rise as weights grow.",
        most=IN_PART,
    ),
    Claim(
        "Linear probes on encoders that were trained together beat unimodal training",
        f"{MASAM}, unimodal probes",
        "test accuracy of a logistic regression on frozen features (1,000 training samples) minus "
        f"that of the modality trained alone, {WHERE}",
        _probes,
        "table_encoders_late",
        "11_masam_and_relatives",
        "The probe has fewer samples than the encoder had, which favours unimodal training.",
    ),
    Claim(
        "MASAM's score (APS) finds the dominant modality",
        f"{MASAM}, method",
        "share of epochs in which the modality with the highest mean score has the largest Shapley "
        f"share of the test accuracy, minus one half, {WHERE}",
        lambda f: encoders.score_finds_dominant(f[ENCODERS]),
        "methods_dominance_late_avmnist",
        "11_masam_and_relatives",
    ),
    Claim(
        "Shapley values in every step make M-SAM more expensive than SAM",
        f"{MSAM}, a limitation",
        "time of an epoch, measured side by side (small convolutional network; late, MaxOut; two "
        "and three modalities)",
        _cost,
        "table_methods_cost",
        "04_msam_line_by_line",
        "With larger encoders it is less, for the values need no further pass through them.",
    ),
)
