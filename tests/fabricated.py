"""Made-up results with known numbers, in the tidy form of `msam_lib.results`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd

from msam_lib.results.frame import COLUMNS

RHO = 0.2
ONE = f"msam:mixing=1.0,reading=encoder,rho={RHO},target="
LABELS = ("joint", "unimodal", "sam:rho=0.1", "msam:rho=0.1", "msam:reading=encoder,rho=0.1")
EXTRA = (f"sam:rho={RHO}", ONE + "dominant", ONE + "weakest")


def accuracy(i: int, seed: int, epoch: int, m: int) -> float:
    """Of modality number m (-1: fused) under method number i; falls after epoch 2."""
    rise = {0: 0.0, 1: 0.2, 2: 0.4, 3: 0.3}[epoch]
    return 0.1 + rise + 0.01 * i + 0.02 * seed + (0.2 if m < 0 else 0.05 * m)


def results(
    modalities: Sequence[str] = ("audio", "visual"),
    labels: Sequence[str] = LABELS,
    *,
    fusion: str = "late",
    seeds: Sequence[int] = (0, 1, 2),
    classes: int = 3,
) -> pd.DataFrame:
    """Four epochs (0 to 3) of every label and seed; the best epoch is 2."""
    rows = []
    for i, label in enumerate(labels):
        for seed in seeds:
            method = label.partition(":")[0]
            run = f"toy-{fusion}-{label}-s{seed}"
            who = ("toy", fusion, method, label, seed, "teach", run)
            for epoch in range(4):
                at = (*who, epoch, 10 * epoch)
                whole = accuracy(i, seed, epoch, -1)
                rows += [(*at, split, "fused", "accuracy", whole) for split in ("val", "test")]
                for m, name in enumerate(modalities):
                    share = (1 + m) / sum(range(1, len(modalities) + 1))
                    own = accuracy(i, seed, epoch, m)
                    values = {"accuracy": own, "accuracy_head": own + 0.1, "contribution": share}
                    values |= {f"contribution/{c}": share for c in range(classes)}
                    rows += [(*at, "test", name, metric, v) for metric, v in values.items()]
                    if method != "unimodal":
                        rows.append((*at, "probe", name, "hessian_trace", 10.0 * (1 + m) + epoch))
    return pd.DataFrame(rows, columns=COLUMNS)


def landscapes(labels: Sequence[str] = ("joint", "sam:rho=0.1"), steps: int = 5) -> pd.DataFrame:
    """Bowls x^2 + y^2, steeper for each label, as `freeze_landscapes` freezes them."""
    rows = []
    axis = [2 * i / (steps - 1) - 1 for i in range(steps)]
    for i, label in enumerate(labels):
        who = ("toy", "late", label.partition(":")[0], label, 0)
        for x in axis:
            for y in axis:
                loss = (1 + i) * (x**2 + y**2)
                rows += [(*who, x, y, "loss", loss), (*who, x, y, "accuracy", 1 - loss / 10)]
    columns = ["dataset", "fusion", "method", "label", "seed", "x", "y", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def sharpness(seeds: Sequence[int] = (0, 1, 2)) -> pd.DataFrame:
    """Sharpness and gap fall together, as `freeze_sharpness` freezes them."""
    rows = []
    for (i, label), seed in itertools.product(enumerate(["joint", "sam:rho=0.1"]), seeds):
        same = {"dataset": "digits", "fusion": "late", "method": label.partition(":")[0]}
        same |= {"label": label, "seed": seed}
        rows.append(
            same | {"modality": "fused", "metric": "normalised_gap", "value": 9.0 - i - seed}
        )
        for m, measure in itertools.product(["fused", "x1"], ["keskar", "average"]):
            value = 5.0 - i - seed + (measure == "average")
            rows.append(same | {"modality": m, "metric": measure, "value": value})
    return pd.DataFrame(rows)


def everything() -> pd.DataFrame:
    """Rows for all items of `msam_lib.figures.registry`."""
    maxout = [label for label in LABELS if label != "unimodal"]
    parts = [results(labels=(*LABELS, *EXTRA)), results(labels=maxout, fusion="maxout")]
    return pd.concat(parts, ignore_index=True)


def surfaces(steps: int = 5, seeds: Sequence[int] = (0, 1, 2)) -> pd.DataFrame:
    """Bowls for AGM, SAM and M-SAM, SAM's the flattest, as `measure_surfaces` freezes them."""
    rows = []
    axis = [2 * i / (steps - 1) - 1 for i in range(steps)]
    for (label, steep), block in itertools.product(
        {"msam": 3.0, "sam": 1.0, "agm": 2.0}.items(), ("all", "audio", "visual")
    ):
        who = ("toy", "late", label)
        rows += [(*who, label, s, block, 0.0, 0.0, "rise", steep + 0.1 * s) for s in seeds]
        for x, y in itertools.product(axis, axis):
            loss = 0.1 + steep * (x**2 + y**2)
            rows.append((*who, label, seeds[0], block, x, y, "loss", loss))
    columns = ["dataset", "fusion", "method", "label", "seed", "block", "x", "y", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)
