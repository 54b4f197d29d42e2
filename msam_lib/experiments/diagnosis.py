"""Diagnostics of a finished run, stored in its directory: `python -m msam_lib diagnose RUN`.

    hessian.csv            traces, Gauss-Newton traces, top eigenvalues, block norms
    landscape-*.npz        planes: all weights, and every pair of modalities' encoders
    sharpness.json         every sharpness measure per block, and the generalisation gap
    probes.json            linear probes, gradients, similarity, missing and noisy modalities

Each file is written atomically, and holds the settings of its measurement.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msam_lib import diagnostics as d
from msam_lib._utils.files import write_text
from msam_lib._utils.reproducibility import pick_device
from msam_lib.data import DataSplits
from msam_lib.errors import unknown_name
from msam_lib.experiments.build import load_data, trained_model
from msam_lib.experiments.experiment import Experiment
from msam_lib.models.base import Model
from msam_lib.results.landscape import Landscape
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
        samples: number of training samples, drawn with `seed`; the same for all runs on a data set.
        probes: random vectors for the traces.
        eigenvalues: how many of the largest per block.
        steps, span: points per axis of the planes; half their length, in units of the directions.
        mode: eval or train, of batch normalisation.
        seed: of samples, probes and directions.
        device: where to compute.
        progress: show progress bars in a terminal or notebook.

    Returns:
        {name: path} of the files written.

    Raises:
        MsamError: the run has not finished, or an unknown word in `what`.
    """
    what = (what,) if isinstance(what, str) else tuple(what)
    for word in what:
        if word not in WHAT:
            raise unknown_name("diagnostic", word, WHAT)
    # Every diagnostic sees the same samples of the same model.
    model = trained_model(run, pick_device(device))
    data = load_data(Experiment.from_dict(run.config, run.path))
    sampling = d.Sampling(samples=samples, mode=mode, seed=seed)
    settings = {"samples": samples, "mode": mode, "seed": seed}
    out: dict[str, Path] = {}
    if "hessian" in what:
        rows = _hessian(model, data, probes, eigenvalues, sampling, progress)
        out["hessian"] = write_text(run.path / "hessian.csv", _table(rows, settings))
    if "landscape" in what:
        for name, landscape in _planes(model, data, steps, span, sampling, progress):
            out[name] = landscape.save(run.path / f"{name}.npz")
    if "sharpness" in what:
        content = _sharpness(model, data, sampling, progress) | {"settings": settings}
        out["sharpness"] = write_text(run.path / "sharpness.json", _json(content))
    if "probes" in what:
        # Robustness and features are those of evaluation mode, whatever the mode asked for.
        few = d.Sampling(samples=samples, seed=seed)
        content = _probes(model, data, few) | {"settings": {"samples": samples, "seed": seed}}
        out["probes"] = write_text(run.path / "probes.json", _json(content))
    return out


def _hessian(
    model: Model, data: DataSplits, probes: int, k: int, sampling: d.Sampling, progress: bool
) -> list[tuple]:
    """Rows in the order of `HESSIAN_COLUMNS`: traces, `k` eigenvalues, and norms of the blocks."""
    same = {"sampling": sampling, "progress": progress}
    rows: list[tuple] = []
    sizes = {}
    # H and its positive part G, on the same samples.
    for quantity, traces in (
        ("trace", d.block_traces(model, data.train, probes=probes, **same)),
        ("gauss_newton_trace", d.gauss_newton_traces(model, data.train, probes=probes, **same)),
    ):
        for b, e in traces.items():
            rows.append((b, quantity, e.value, e.std_error, e.probes, e.parameters, e.estimator))
            sizes[b] = e.parameters
    # The largest eigenvalues of each block, and the norms of all pairs of blocks.
    del sizes[d.TOTAL]
    for b, size in sizes.items() if k else ():
        top = d.top_eigenvalues(model, data.train, b, k=min(k, size), **same)
        for i, (value, residual) in enumerate(zip(top.values, top.residuals, strict=True)):
            name = f"eigenvalue_{i + 1}"
            rows.append((b, name, value, residual, top.iterations, size, "lanczos"))
    # A vector costs one product per block here: a third of the probes.
    norms = d.block_norms(model, data.train, probes=max(2, probes // 3), **same)
    for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(norms.blocks), 2):
        value, error = norms.norms[i, j], norms.std_errors[i, j]
        rows.append((f"{a} x {b}", "frobenius_norm", value, error, norms.probes, "", "hutchinson"))
    return rows


def _planes(
    model: Model,
    data: DataSplits,
    steps: int,
    span: float,
    sampling: d.Sampling,
    progress: bool,
) -> Iterator[tuple[str, Landscape]]:
    """(name, plane) over all weights, and over every pair of modalities' encoders."""
    options = {"steps": steps, "span": span, "progress": progress, "sampling": sampling}
    yield "landscape-all", d.plane(model, data.train, **options)
    for a, b in itertools.combinations(model.modalities, 2):
        yield f"landscape-{a}-{b}", d.plane(model, data.train, a, b, **options)


def _sharpness(
    model: Model, data: DataSplits, sampling: d.Sampling, progress: bool
) -> dict[str, Any]:
    """Every sharpness measure of every block, and the generalisation gap."""
    rows = d.sharpness_table(model, data.train, sampling=sampling, progress=progress)
    return {"sharpness": rows, "gap": d.generalization_gap(model, data.train, data.test)}


def _probes(model: Model, data: DataSplits, few: d.Sampling) -> dict[str, Any]:
    """Linear probes, gradients, similarity of features, missing and noisy modalities."""
    rates, levels = [0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 0.5, 1.0, 2.0, 4.0]
    alignment = d.gradient_alignment(model, data.train, sampling=few)
    similarity = d.feature_similarity(model, data.test, sampling=few)
    missing = d.missing_modality_curve(model, data.test, rates)
    # Symbols cannot carry Gaussian noise.
    noisy = {
        m: d.noisy_modality_curve(model, data.test, m, levels, seed=few.seed)
        for m, x in data.test.inputs.items()
        if x.is_floating_point()
    }
    return {
        "linear_probe": d.linear_probe(model, data.train, data.test, sampling=few),
        "gradient_cosine": {m: a.cosine for m, a in alignment.items()},
        "gradient_norm": d.gradient_norms(model, data.train, sampling=few),
        "cka": {f"{a} x {b}": v for (a, b), v in similarity.items()},
        "missing": {"rates": rates} | {m: list(curve) for m, curve in missing.items()},
        "noisy": {"levels": levels} | {m: list(curve) for m, curve in noisy.items()},
    }


def _table(rows: list[tuple], settings: dict[str, Any]) -> str:
    """The rows as CSV text, each with the settings of the measurement."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*HESSIAN_COLUMNS, *SETTINGS))
    writer.writerows((*row, *(settings[s] for s in SETTINGS)) for row in rows)
    return text.getvalue()


def _json(content: Any) -> str:
    """The content as JSON text; values that are not finite become null, for JSON has no NaN."""

    def clean(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: clean(v) for k, v in x.items()}
        if isinstance(x, list):
            return [clean(v) for v in x]
        if isinstance(x, str | int | None):
            return x
        return float(x) if math.isfinite(x) else None

    return json.dumps(clean(content), indent=1) + "\n"
