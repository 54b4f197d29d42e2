"""Sharpness and generalisation gap of many runs, measured, frozen, and chosen for the figure.

Imports no torch before something is measured.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from msam_lib.frozen import provenance_of, write_frozen
from msam_lib.progress import progress_bar

if TYPE_CHECKING:
    from msam_lib.training.runs import Run

SAMPLES, SEED = 300, 0
IDENTITY = ("dataset", "fusion", "method", "label", "seed")


def freeze_sharpness(
    runs: Iterable[Run],
    name: str = "sharpness",
    folder: str | os.PathLike[str] = "figures/data",
    *,
    jobs: int = 1,
    progress: bool = True,
) -> Path:
    """Every sharpness measure of every block, and the generalisation gap, of finished runs.

    Writes `<folder>/<name>.csv.gz` (columns dataset, fusion, method, label, seed, modality, metric,
    value; metrics are the measures, Keskar's Q in percent and the others in nats, and
    `normalised_gap` in percent) and its provenance. What was measured before is read from the run's
    directory.

    Args:
        runs: finished runs.
        name, folder: where to write.
        jobs: processes, one thread each; 1 stays in this one.
        progress: show a bar where somebody watches.
    """
    from msam_lib.config import Experiment

    runs = list(runs)
    paths = [r.path for r in runs]
    with progress_bar(total=len(runs), show=progress, desc="sharpness", unit="run") as bar:
        if jobs == 1:
            for path in paths:
                _measure(path)
                bar.update()
        else:
            with ProcessPoolExecutor(jobs, get_context("spawn"), _one_thread) as pool:
                for _ in pool.map(_measure, paths):
                    bar.update()
    rows: list[dict[str, Any]] = []
    for run in runs:
        experiment = Experiment.from_dict(run.config)
        same = {k: getattr(experiment, k) for k in IDENTITY}
        rows += [same | row for row in json.loads(_file(run.path).read_text())]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    settings = {"samples": SAMPLES, "samples_seed": SEED, "mode": "eval"}
    return write_frozen(
        Path(folder) / f"{name}.csv.gz", text, provenance_of(paths) | {"sharpness": settings}
    )


def _file(path: Path) -> Path:
    return path / f"sharpness-rows-{SAMPLES}-{SEED}.json"


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _measure(path: Path) -> None:
    """Measure one run, unless that has been done, and keep the rows in its directory."""
    if _file(path).exists():
        return
    from msam_lib import diagnostics as d
    from msam_lib.config import Experiment
    from msam_lib.training.runs import Run, write_atomically

    run = Run(path)
    model, data = run.model(), Experiment.from_dict(run.config).load_data()
    blocks = [*model.modalities, "all"]
    table = d.sharpness_table(model, data.train, blocks, samples=SAMPLES, seed=SEED, progress=False)
    gap = d.generalization_gap(model, data.train, data.test)
    rows = [
        {"modality": _modality(r["block"]), "metric": r["measure"], "value": r["value"]}
        for r in table
    ]
    rows += [{"modality": m, "metric": "normalised_gap", "value": v} for m, v in gap.items()]
    rows = [r for r in rows if math.isfinite(r["value"])]
    write_atomically(_file(path), lambda p: p.write_text(json.dumps(rows, indent=0) + "\n"))


def _modality(block: object) -> str:
    return "fused" if block == "all" else str(block)


def gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per run, modality and measure: columns of the run, modality, measure, value, gap (of
    the fused accuracy, in percent).
    """
    of_run = list(IDENTITY)
    gap = frame[(frame["metric"] == "normalised_gap") & (frame["modality"] == "fused")]
    gap = gap[[*of_run, "value"]].rename(columns={"value": "gap"})
    rows = frame[frame["metric"] != "normalised_gap"].rename(columns={"metric": "measure"})
    return rows.merge(gap, on=of_run, how="inner")


def correlations(rows: pd.DataFrame, modality: str = "fused") -> Mapping[str, Any]:
    """{measure: Kendall's tau with the gap} over all runs, for the sharpness of one block."""
    from msam_lib.diagnostics.generalization import kendall_tau

    own = rows[rows["modality"] == modality]
    return {
        str(measure): kendall_tau(part["value"].to_numpy(), part["gap"].to_numpy())
        for measure, part in own.groupby("measure", sort=False)
    }
