"""Freezing what is inside each encoder: curvature over epochs, spectrum, what its features know,
how sure its own logits are.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from msam_lib import diagnostics as d
from msam_lib._utils.files import write_text
from msam_lib.data.containers import MultimodalDataset
from msam_lib.data.loader import BatchLoader
from msam_lib.errors import MsamError
from msam_lib.experiments.build import load_data, trained_model
from msam_lib.experiments.comparison import PlannedRow
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.runs import measured_rows, provenance_of, with_identity
from msam_lib.experiments.measurements import collect
from msam_lib.experiments.runner import run_all
from msam_lib.models.base import Model
from msam_lib.results.frozen import path_of, write_frame
from msam_lib.training import Run

SAMPLES, SEED = 1000, 0  # of the training split, for the curvature; of their choice
OVER_EPOCHS = ("hessian_trace", "score", "contribution")
MEASUREMENTS = 4  # traces per run, the one before training not counted


def measure_encoders(
    plan: Sequence[PlannedRow],
    name: str = "encoders",
    *,
    store: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] = "figures/data",
    jobs: int | None = None,
    on: str = "local",
    cluster: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Path:
    """Train (or resume) the runs of a plan with Hessian traces over epochs, measure their encoders
    and write it all to `<folder>/<name>.csv.gz`; returns that path.

    Columns are dataset, fusion, method, label, seed, modality, epoch, metric, value. Over epochs:
    `hessian_trace` of each encoder, `contribution` (Shapley value of test accuracy) and MASAM's
    `score`. At the end, of each encoder: `eigenvalue` (the largest), `spectral_rms` (root of the
    mean squared eigenvalue, by stochastic Lanczos quadrature), `probe_accuracy` (test accuracy of a
    linear probe) and `margin` (see `confidence_margins`).

    Args:
        plan: the rows.
        name: of the frozen results.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        folder: of the frozen results.
        jobs, on, cluster: where they are trained; see `run_all`. Measured in `jobs` processes here.
        progress: show progress bars in a terminal or notebook.
    """
    path_of(name, folder)  # raises before anything is trained
    rows_of = [
        (row, e.replace(traces=max(1, e.epochs // MEASUREMENTS)))
        for row in plan
        for e in row.experiments
    ]
    placed: dict[str, Any] = {"jobs": jobs, "on": on, "cluster": cluster, "progress": progress}
    runs = run_all([e for _, e in rows_of], store, **placed)
    measured = measured_rows(runs, _measure, _file, jobs=jobs or 1, progress=progress)
    rows: list[dict[str, Any]] = []
    for (row, e), run, own in zip(rows_of, runs, measured, strict=True):
        of_run = [*_over_epochs(run), *({"epoch": e.epochs, **r} for r in own)]
        rows += [r | {"label": row.label} for r in with_identity(e, of_run)]
    settings = {"samples": SAMPLES, "samples_seed": SEED, "mode": "eval"}
    record = provenance_of([r.path for r in runs]) | {"encoders": settings}
    return write_frame(path_of(name, folder), pd.DataFrame(rows), record)


def confidence_margins(model: Model, data: MultimodalDataset) -> dict[str, float]:
    """{m: mean over samples of p_m[y] - max over j != y of p_m[j]}, p_m the softmax of a modality's
    own logits, in [-1, 1]: the margin by which it is right (negative: wrong), "unimodal confidence
    margin" of Gong et al., NeurIPS 2025.

    Args:
        model: with per-modality logits.
        data: a data set with labels of one class per sample.

    Raises:
        MsamError: the model has no per-modality logits.
    """
    device = next(model.parameters()).device
    margins: dict[str, list[Tensor]] = {m: [] for m in model.modalities}
    model.eval()
    with torch.no_grad():
        for batch in BatchLoader(data, 1024, shuffle=False):
            here = batch.to(device)
            own = model(here.inputs).unimodal
            if not own:
                raise MsamError(
                    "This model has no per-modality logits, so no margins. Use fusion='late', or "
                    "unimodal_heads=True."
                )
            for m, logits in own.items():
                p = logits.softmax(1)
                right = p.gather(1, here.targets[:, None]).squeeze(1)
                wrong = p.scatter(1, here.targets[:, None], -1.0).amax(1)
                margins[m].append((right - wrong).double())
    return {m: float(torch.cat(parts).mean()) for m, parts in margins.items()}


def _over_epochs(run: Run) -> Iterator[dict[str, Any]]:
    """The rows of a run's measurements that are kept over epochs: those of modalities."""
    frame = collect([run.path])
    kept = frame[
        frame["metric"].isin(OVER_EPOCHS)
        & frame["split"].isin(("probe", "step", "test"))
        & ~frame["modality"].isin(("fused", "fusion", "total", ""))
    ]
    columns = ["modality", "epoch", "metric", "value"]
    yield from kept[columns].to_dict("records")


def _file(path: Path) -> Path:
    """The file of a run's measurements in its directory."""
    return path / f"encoders-{SAMPLES}-{SEED}.json"


def _measure(path: Path) -> None:
    """Measure one run, unless it was measured before, and write the rows to its directory."""
    if _file(path).exists():
        return
    run = Run(path)
    model, data = trained_model(run), load_data(Experiment.from_dict(run.config, run.path))
    same: dict[str, Any] = {
        "sampling": d.Sampling(samples=SAMPLES, seed=SEED),
        "progress": False,
    }
    found: dict[str, dict[str, float]] = {"eigenvalue": {}, "spectral_rms": {}}
    for m in model.modalities:
        found["eigenvalue"][m] = float(
            d.top_eigenvalues(model, data.train, m, k=1, **same).values[0]
        )
        density = d.spectral_density(model, data.train, m, **same)
        found["spectral_rms"][m] = math.sqrt(density.moment(2))
    found["probe_accuracy"] = d.linear_probe(
        model, data.train, data.test, sampling=d.Sampling(samples=SAMPLES, seed=SEED)
    )
    found["margin"] = confidence_margins(model, data.test)
    rows = [
        {"modality": m, "metric": metric, "value": value}
        for metric, values in found.items()
        for m, value in values.items()
    ]
    write_text(_file(path), json.dumps(rows, indent=0) + "\n")
