"""What the interactive parts of the site draw, taken from the frozen results: a function per part.

Accuracies, shares and intervals are in percent, losses in nats; what was not measured is None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.catalogue import METHODS
from msam_lib.figures.comparison import COMPARISONS
from msam_lib.figures.registry import ITEMS
from msam_lib.figures.search import describe_search
from msam_lib.figures.tables import since
from msam_lib.interactive.results import noise_rows
from msam_lib.interactive.viewer import number, rounded, surface_data
from msam_lib.labels import Comparison, display_names
from msam_lib.methods import METHODS as CLASSES
from msam_lib.methods import Method
from msam_lib.plots.curves import unimodal_accuracy
from msam_lib.plots.style import palette
from msam_lib.plots.table import Table
from msam_lib.results import load, reported_epoch, summary
from msam_lib.results.coalitions import pair_accuracies
from msam_lib.results.headline import headline_of
from msam_lib.results.landscape import landscapes
from msam_lib.results.rows import choose, fusion_rows, metric_rows, modalities_of
from tools.explore_dial import dial

Part = dict[str, Any]
START = [METHODS[m].title for m in ("joint", "masam")]  # what two panels show first
SURFACES = [METHODS[m].title for m in ("joint", "msam")]


@functools.cache
def _load(name: str, data: Path) -> pd.DataFrame:
    """Frozen results, read once for all parts."""
    return load(name, data)


def epochs(data: Path) -> Part:
    """Accuracy of every modality and of the whole model, and the modalities' shares, by epoch."""
    return {"start": START, "comparisons": [_trained(data, c) for c in _compared(data)]}


def _trained(data: Path, where: Comparison) -> Part:
    frame = _load(f"methods_{where.dataset}", data)
    rows = fusion_rows(where.fusion)(frame)
    shown = choose(rows, None, without=["unimodal"])
    times = sorted(int(e) for e in rows["epoch"].unique())
    names = modalities_of(rows)

    def curves(metric: str) -> Callable[[str], dict[str, list[float | None]]]:
        means = summary(metric_rows(rows, metric, "test"), by=["epoch"])
        wide = means.pivot(index="epoch", columns=["label", "modality"], values="mean")
        wide = 100 * wide.reindex(times)
        return lambda label: {str(m): rounded(wide[label][m]) for m in wide[label].columns}

    accuracy, share = curves("accuracy"), curves("contribution")
    separate = frame[frame["method"] == "unimodal"]
    alone = unimodal_accuracy(separate) if len(separate) else {}
    return {
        "name": where.name,
        "looks": _looks([*names, "fused"]),
        "epochs": times,
        "alone": {m: number(100 * v) for m, v in alone.items()},
        "methods": [
            {"name": name, "accuracy": accuracy(label), "share": share(label)}
            for label, name in shown.items()
        ],
        "notes": _notes(data, where, rows, shown),
    }


def coalitions(data: Path) -> Part:
    """Accuracy with no modality, with each and with both, where there are two of them."""
    return {
        "start": START,
        "comparisons": [c for where in _compared(data) if (c := _coalitions(data, where))],
    }


def _coalitions(data: Path, where: Comparison) -> Part | None:
    rows = fusion_rows(where.fusion)(_load(f"methods_{where.dataset}", data))
    if len(modalities_of(rows)) != 2:
        return None
    table = pair_accuracies(reported_epoch(rows))
    # Neither separate models nor predictions other than the plain forward pass.
    methods = rows.drop_duplicates("label").set_index("label")["method"]
    own = [name for name, made in CLASSES.items() if made.predict is not Method.predict]
    plain = [x for x in table.index if methods[x] not in ("unimodal", *own)]
    shown = display_names(plain)
    first, second = (c for c in table.columns if c not in ("none", "both"))
    return {
        "name": where.name,
        "looks": _looks([first, second]),
        # In the order of binary digits: none, the first, the second, both.
        "methods": [
            {"name": name, "values": rounded(100 * table.loc[x, ["none", first, second, "both"]])}
            for x, name in shown.items()
        ],
        "notes": _notes(data, where, rows, shown),
    }


def landscape(data: Path) -> Part:
    """The loss over one plane of all weights, method by method."""
    frame = _load("landscapes", data)
    planes = landscapes(frame)
    return surface_data(planes, SURFACES) | {"notes": since(frame)}


def table(data: Path) -> Part:
    """The tables of all methods, as the figures' registry makes them."""
    return {"comparisons": [_table(data, c) for c in _compared(data)]}


def _table(data: Path, where: Comparison) -> Part:
    item = ITEMS[f"table_methods_{where.fusion}_{where.dataset}"]
    frames = {name: _load(name, data) for name in item.sources}
    made = item.build(frames)
    assert isinstance(made, Table)
    # AGM's second definition of a modality's accuracy stays in the printed tables.
    kept = [k for k, c in enumerate(made.columns) if "(shapley)" not in c]
    methods = item.select(frames[item.needs]).drop_duplicates("label").set_index("label")["method"]
    kinds = {name: METHODS[methods[x]].kind for x, name in display_names(methods.index).items()}
    # Why a value is missing or weak, numbered as in the printed tables.
    marks = {reason: f" [{k}]" for k, reason in enumerate(made.reasons, 1)}
    return {
        "name": where.name,
        "file": item.name,
        "columns": [made.columns[k] for k in kept],
        "paper": made.paper,
        "rows": [
            {
                "name": row.name,
                "kind": kinds.get(row.name, ""),
                "reference": row.reference,
                "paper": float(row.paper) if row.paper else None,
                "cells": [
                    {
                        "text": row.cells[k].text + marks.get(row.cells[k].note, ""),
                        "mean": number(row.cells[k].mean, 2),
                        "half": number(row.cells[k].half, 2),
                        "rank": row.cells[k].rank,
                    }
                    for k in kept
                ],
            }
            for row in made.rows
        ],
        "notes": [*(f"{k.strip()} {reason}" for reason, k in marks.items()), *made.notes],
    }


def noise(data: Path) -> Part:
    """Accuracy by the share of wrong training labels."""
    frame = _load("noise_digits", data)
    rows = noise_rows(frame)
    noises = sorted(float(x) for x in rows["noise"].unique())
    quantities = ["fused", *(q for q in palette(rows["quantity"]) if q != "fused")]
    cells = rows.set_index(["name", "quantity", "noise"])[["mean", "low", "high"]]
    return {
        "name": Comparison(frame["dataset"].iloc[0], frame["fusion"].iloc[0]).name,
        "looks": _looks(quantities),
        "noises": [number(100 * x) for x in noises],
        "quantities": quantities,
        "methods": [
            {
                "name": name,
                "values": {
                    q: [rounded(cells.loc[(name, q, x)]) for x in noises] for q in quantities
                },
            }
            for name in dict.fromkeys(rows["name"])
        ],
        "notes": [_seeds(frame, {x: x for x in frame["label"]}), *since(frame)],
    }


PARTS: dict[str, Callable[[Path], Part]] = {
    "epochs": epochs,
    "coalitions": coalitions,
    "landscape": landscape,
    "table": table,
    "dial": dial,
    "noise": noise,
}


def _compared(data: Path) -> list[Comparison]:
    """The comparisons whose accuracy is in percent; an error has no place on an axis to 100."""
    frames = {c.dataset: _load(f"methods_{c.dataset}", data) for c in COMPARISONS}
    return [c for c in COMPARISONS if headline_of(frames[c.dataset]).metric == "accuracy"]


def _notes(
    data: Path, where: Comparison, rows: pd.DataFrame, names: Mapping[str, str]
) -> list[str]:
    """What the tables say of these rows: their seeds, their search, and what is out of date."""
    searched = describe_search(_load("search", data), where)[1]
    return [_seeds(rows, names), *searched, *since(rows)]


def _seeds(rows: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Over how many seeds the means are, and of which {label: name} they are over fewer."""
    counts = rows.groupby("label")["seed"].nunique()
    fewer = [f"{name} over {counts[x]}" for x, name in names.items() if counts[x] < counts.max()]
    return f"{'; '.join([f'Mean over {counts.max()} seeds', *fewer])}."


def _looks(names: Iterable[str]) -> list[dict[str, str]]:
    """Colour and marker of every modality, in drawing order; no colour for the whole model, which
    takes the colour of the text in light and in dark.
    """
    return [
        {"name": m, "marker": look.marker, "color": "" if m == "fused" else look.color}
        for m, look in palette(names).items()
    ]
