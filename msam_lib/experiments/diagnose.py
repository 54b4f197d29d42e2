"""Diagnostics of a finished run, stored beside it: `python -m msam_lib diagnose RUN`.

    hessian.csv            traces, Gauss-Newton traces, top eigenvalues, block norms
    landscape-*.npz        planes: all weights, and every pair of modalities' encoders
    sharpness.json         every sharpness measure per block, and the generalisation gap
    probes.json            linear probes, gradients, similarity, missing and noisy modalities

Each file is written whole or not at all, and holds the settings it was made with.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msam_lib import diagnostics as d
from msam_lib._utils.files import write_text
from msam_lib._utils.reproducibility import pick_device
from msam_lib.data import DataSplits
from msam_lib.errors import unknown_name
from msam_lib.experiments.build import load_data, trained_model
from msam_lib.experiments.experiment import Experiment
from msam_lib.training import Run

WHAT = ("hessian", "landscape", "sharpness", "probes")
HESSIAN_COLUMNS = ("block", "quantity", "value", "std_error", "probes", "parameters", "estimator")
SETTINGS = ("mode", "samples", "seed")


def diagnose(
    run: Run,
    what: Sequence[str] = ("hessian", "landscape", "sharpness"),
    *,
    samples: int = 1000,
    probes: int = 30,
    eigenvalues: int = 2,
    steps: int = 25,
    span: float = 1.0,
    mode: str = "eval",
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> dict[str, Path]:
    """Measure a finished run on a fixed part of its training split and store the results in its
    directory.

    Args:
        run: a finished run.
        what: any of hessian, landscape, sharpness, probes.
        samples: of the training split, drawn with `seed`. The same for all runs on a data set.
        probes: for the traces.
        eigenvalues: how many of the largest per block.
        steps, span: points per axis and half length of the planes.
        mode: of batch normalisation.
        seed: of samples, probes and directions.
        device: where to compute.
        progress: show bars where somebody watches.

    Returns:
        {name: path} of what was written.

    Raises:
        MsamError: the run has not finished, or an unknown word in `what`.
    """
    what = (what,) if isinstance(what, str) else tuple(what)
    for word in what:
        if word not in WHAT:
            raise unknown_name("diagnostic", word, WHAT)
    model = trained_model(run, pick_device(device))
    data = load_data(Experiment.from_dict(run.config))
    shared = {"samples": samples, "mode": mode, "seed": seed}
    out: dict[str, Path] = {}
    if "hessian" in what:
        rows = _hessian(model, data, probes, eigenvalues, shared, progress)
        out["hessian"] = write_text(run.path / "hessian.csv", _table(rows, shared))
    if "landscape" in what:
        for name, made in _planes(model, data, steps, span, shared, progress):
            out[name] = made.save(run.path / f"{name}.npz")
    if "sharpness" in what:
        content = _sharpness(model, data, shared, progress)
        out["sharpness"] = write_text(
            run.path / "sharpness.json", _json(content | {"settings": shared})
        )
    if "probes" in what:
        content = _probes(model, data, samples, seed)
        settings = {"samples": samples, "seed": seed}
        out["probes"] = write_text(
            run.path / "probes.json", _json(content | {"settings": settings})
        )
    return out


def _hessian(
    model: Any, data: DataSplits, probes: int, k: int, shared: dict, progress: bool
) -> list[tuple]:
    rows: list[tuple] = []
    estimates: list[tuple[str, Callable]] = [
        ("trace", d.block_traces),
        ("gauss_newton_trace", d.gauss_newton_traces),
    ]
    for quantity, estimate in estimates:
        found = estimate(model, data.train, probes=probes, progress=progress, **shared)
        rows += [
            (b, quantity, e.value, e.std_error, e.probes, e.parameters, e.estimator)
            for b, e in found.items()
        ]
    sizes = {b: e.parameters for b, e in found.items()}
    for block in [b for b in sizes if b != "total"] if k else []:
        count = min(k, sizes[block])
        top = d.top_eigenvalues(model, data.train, block, k=count, progress=progress, **shared)
        for i, (value, residual) in enumerate(zip(top.values, top.residuals, strict=True)):
            rows.append(
                (
                    block,
                    f"eigenvalue_{i + 1}",
                    value,
                    residual,
                    top.iterations,
                    sizes[block],
                    "lanczos",
                )
            )
    norms = d.block_norms(
        model, data.train, probes=max(2, probes // 3), progress=progress, **shared
    )
    for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(norms.blocks), 2):
        value, error = norms.norms[i, j], norms.std_errors[i, j]
        rows.append((f"{a} x {b}", "frobenius_norm", value, error, norms.probes, "", "hutchinson"))
    return rows


def _planes(
    model: Any, data: DataSplits, steps: int, span: float, shared: dict, progress: bool
) -> Any:
    options = {"steps": steps, "span": span, "progress": progress, **shared}
    yield "landscape-all", d.plane(model, data.train, **options)
    for a, b in itertools.combinations(model.modalities, 2):
        yield f"landscape-{a}-{b}", d.plane(model, data.train, a, b, **options)


def _sharpness(model: Any, data: DataSplits, shared: dict, progress: bool) -> dict[str, Any]:
    rows = d.sharpness_table(model, data.train, progress=progress, **shared)
    return {"sharpness": rows, "gap": d.generalization_gap(model, data.train, data.test)}


def _probes(model: Any, data: DataSplits, samples: int, seed: int) -> dict[str, Any]:
    few = {"samples": samples, "seed": seed}
    rates, levels = [0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 0.5, 1.0, 2.0, 4.0]
    numeric = [m for m, x in data.test.inputs.items() if x.is_floating_point()]
    alignment = d.gradient_alignment(model, data.train, **few)
    return {
        "linear_probe": d.linear_probe(model, data.train, data.test, **few),
        "gradient_cosine": {m: a.cosine for m, a in alignment.items()},
        "gradient_norm": d.gradient_norms(model, data.train, **few),
        "cka": {
            f"{a} x {b}": v for (a, b), v in d.feature_similarity(model, data.test, **few).items()
        },
        "missing": {"rates": rates}
        | {m: list(a) for m, a in d.missing_modality_curve(model, data.test, rates).items()},
        "noisy": {"levels": levels}
        | {
            m: list(d.noisy_modality_curve(model, data.test, m, levels, seed=seed)) for m in numeric
        },
    }


def _table(rows: list[tuple], shared: dict) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*HESSIAN_COLUMNS, *SETTINGS))
    writer.writerows((*row, *(shared[s] for s in SETTINGS)) for row in rows)
    return text.getvalue()


def _json(content: Any) -> str:
    """JSON without NaN, which is not JSON: null."""

    def clean(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: clean(v) for k, v in x.items()}
        if isinstance(x, list):
            return [clean(v) for v in x]
        if isinstance(x, str | int | None):
            return x
        return float(x) if math.isfinite(x) else None

    return json.dumps(clean(content), indent=1) + "\n"
