"""Loss landscapes of trained runs, kept as tidy rows for the figure that answers to the paper's
Figure 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.diagnostics import plane
from msam_lib.experiments.build import load_data, trained_model
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.runs import provenance_of
from msam_lib.results.frozen import write_frozen
from msam_lib.results.landscape import Landscape
from msam_lib.training import Run

STEPS, SPAN, SAMPLES, SEED = 21, 1.0, 300, 0


def freeze_landscapes(
    runs: Iterable[Run],
    name: str = "landscapes",
    folder: str | os.PathLike[str] = "figures/data",
    *,
    progress: bool = True,
) -> Path:
    """The loss over one plane of all weights for each run, at the same normalised directions.

    Writes `<folder>/<name>.csv.gz` (columns dataset, fusion, method, label, seed, x, y, metric,
    value) and its provenance. A plane that was computed for these weights before is read from the
    run's directory.

    Args:
        runs: finished runs with models of one architecture.
        name, folder: where to write.
        progress: show a bar where somebody watches.
    """
    runs = list(runs)
    rows: list[dict[str, Any]] = []
    for run in runs:
        experiment = Experiment.from_dict(run.config)
        found = _plane_of(run, experiment, progress)
        same = {k: getattr(experiment, k) for k in ("dataset", "fusion", "method", "label", "seed")}
        for i, x in enumerate(found.x):
            for j, y in enumerate(found.y):
                at = same | {"x": x, "y": y}
                rows.append(at | {"metric": "loss", "value": found.loss[i, j]})
                rows.append(at | {"metric": "accuracy", "value": found.accuracy[i, j]})
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    settings = {"steps": STEPS, "span": SPAN, "samples": SAMPLES, "directions_seed": SEED}
    record = provenance_of([r.path for r in runs]) | {"landscape": settings}
    return write_frozen(Path(folder) / f"{name}.csv.gz", text, record)


def _plane_of(run: Run, experiment: Experiment, progress: bool) -> Landscape:
    path = run.path / f"landscape-all-{STEPS}-{SAMPLES}-{SEED}.npz"
    if not path.exists():
        data = load_data(experiment).train
        made = plane(
            trained_model(run),
            data,
            steps=STEPS,
            span=SPAN,
            samples=SAMPLES,
            seed=SEED,
            progress=progress,
        )
        made.save(path)
    return Landscape.load(path)
