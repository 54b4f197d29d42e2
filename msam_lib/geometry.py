"""Loss landscapes of trained runs, kept as tidy rows for the figure that answers to the paper's
Figure 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from msam_lib.frozen import provenance_of, write_frozen

if TYPE_CHECKING:
    from msam_lib.diagnostics.surface import Landscape
    from msam_lib.training.runs import Run

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
    from msam_lib.config import Experiment

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


def _plane_of(run: Run, experiment: Any, progress: bool) -> Landscape:
    from msam_lib.diagnostics import Landscape, plane

    path = run.path / f"landscape-all-{STEPS}-{SAMPLES}-{SEED}.npz"
    if not path.exists():
        data = experiment.load_data().train
        made = plane(
            run.model(),
            data,
            steps=STEPS,
            span=SPAN,
            samples=SAMPLES,
            seed=SEED,
            progress=progress,
        )
        made.save(path)
    return Landscape.load(path)


def landscapes(frame: pd.DataFrame) -> Mapping[str, Landscape]:
    """{name of the method: Landscape} from frozen rows, ready for `plots.landscape.surfaces`."""
    from msam_lib.diagnostics.surface import Landscape
    from msam_lib.plots.names import display_names

    found = {}
    for label, rows in frame.groupby("label", sort=False):
        grids = {
            m: part.pivot_table(index="x", columns="y", values="value")
            for m, part in rows.groupby("metric")
        }
        loss = grids["loss"]
        found[str(label)] = Landscape(
            loss.index.to_numpy(),
            loss.columns.to_numpy(),
            loss.to_numpy(),
            grids["accuracy"].to_numpy(),
            {"kind": "plane", "block": "all", "other": "all"},
        )
    return {name: found[label] for label, name in display_names(found).items()}
