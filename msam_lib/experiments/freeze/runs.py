"""Freezing runs: what the figures need of them, in one small file with its provenance."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib._utils.processes import finished
from msam_lib._utils.progress import progress_bar
from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.measurements import collect, preset_of, run_directories, seconds_of
from msam_lib.results.frame import COLUMNS, reported_epoch
from msam_lib.results.frozen import path_of, write_frame
from msam_lib.results.headline import HEADLINES
from msam_lib.results.sharpness import IDENTITY
from msam_lib.training import Run

# Metrics that figures and tables read at every epoch, by split.
KEPT: dict[str, tuple[str, ...]] = {
    "probe": ("hessian_trace", "hessian_trace_se"),
    "val": tuple(HEADLINES),
    "test": (
        *(m for h in HEADLINES.values() for m in (*h.measured, h.floor_metric)),
        "labels_counted",
        "labels",
        "contribution",
        "macro_f1",
        "calibration_error",
        "loss",
    ),
}


def freeze_runs(
    runs: str | os.PathLike[str] | Iterable[Any],
    name: str | os.PathLike[str] = DEFAULT_DATASET,
    folder: str | os.PathLike[str] = "figures/data",
    *,
    metrics: Mapping[str, Sequence[str]] = KEPT,
) -> Path:
    """Write what the figures need of finished runs to `<folder>/<name>.csv.gz`, and their
    provenance to `<name>.provenance.json` beside it.

    The bytes depend on the measurements alone (gzip without a time stamp). Values keep 6
    significant digits.

    Args:
        runs: a store, or several runs or their paths, as in `collect`.
        name: of the result; or a path ending in `.csv.gz`, and `folder` is not used.
        folder: where to write.
        metrics: {split: metrics} to keep at every epoch. Contributions by class are always kept, at
            the epoch with the best validation accuracy and at the last.

    Returns:
        The path of the `.csv.gz` file.
    """
    whole = str(name).endswith(".csv.gz")
    target = Path(name) if whole else path_of(str(name), folder)
    paths = run_directories(runs)
    frame = collect(paths)
    # Contributions by class at the reported and the last epoch, once each.
    ends = pd.concat([reported_epoch(frame), reported_epoch(frame, "last")]).drop_duplicates()
    rows = rows_kept(frame, metrics, ends[ends["metric"].str.startswith("contribution/")])
    kept = set(frame["run"])
    return write_frame(target, rows, provenance_of([p for p in paths if p.name in kept]))


def rows_kept(
    frame: pd.DataFrame, metrics: Mapping[str, Sequence[str]], further: pd.DataFrame
) -> pd.DataFrame:
    """The rows of {split: metrics} and further ones, with the columns of frozen results, sorted."""
    parts = [
        frame[(frame["split"] == split) & frame["metric"].isin(list(names))]
        for split, names in metrics.items()
    ]
    return pd.concat([*parts, further])[COLUMNS].sort_values(COLUMNS[:-1], kind="stable")


def with_identity(
    experiment: Experiment, rows: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The rows, each with the columns that identify its run (`results.sharpness.IDENTITY`)."""
    # The columns by which frozen results are matched.
    same = {k: getattr(experiment, k) for k in IDENTITY}
    return [same | dict(row) for row in rows]


def measured_rows(
    runs: Sequence[Run],
    measure: Callable[[Path], None],
    file: Callable[[Path], Path],
    *,
    jobs: int = 1,
    progress: bool = True,
) -> list[list[dict[str, Any]]]:
    """The rows that `measure` writes to a file in every run's directory, in the order of the runs.

    Args:
        runs: finished runs.
        measure: measures the run in a directory unless its file exists; a function of a module.
        file: the path of that file, JSON.
        jobs: processes, one thread each; 1 measures in this one.
        progress: show a progress bar in a terminal or notebook.
    """
    with progress_bar(total=len(runs), show=progress, desc="measuring", unit="run") as bar:
        for _, error in finished(measure, [r.path for r in runs], jobs=jobs):
            if error is not None:
                raise error
            bar.update()
    return [json.loads(file(r.path).read_text()) for r in runs]


def provenance_of(paths: Sequence[Path]) -> dict[str, Any]:
    """The provenance of run directories: commit, seeds, device, versions, data and settings."""
    runs = [Run(p) for p in paths]
    configs = {r.name: r.config for r in runs}
    records = [r.environment for r in runs]
    seconds = {r.name: s for r in runs if (s := seconds_of(r)) is not None}
    # The settings of each data set, fusion and label; seeds and devices differ within one.
    settings = {}
    for config in configs.values():
        key = f"{config['dataset']} {config['fusion']} {Experiment.from_dict(config).label}"
        settings[key] = {k: v for k, v in config.items() if k not in ("seed", "device")}

    # A value that all runs share appears once.
    def distinct(name: str) -> list[str]:
        return sorted({str(r[name]) for r in records if name in r})

    return {
        "commit": distinct("commit"),
        "seeds": sorted({c["seed"] for c in configs.values()}),
        "presets": sorted({preset_of(c) for c in configs.values()}),
        "device": distinct("device"),
        "device_name": distinct("device_name"),
        "instructions": distinct("instructions"),
        "python": distinct("python"),
        "torch": distinct("torch"),
        "data": {
            c["dataset"]: r["provenance"]
            for c, r in zip(configs.values(), records, strict=True)
            if "provenance" in r
        },
        "training_seconds": round(sum(seconds.values()), 1) if len(seconds) == len(paths) else None,
        "runs": sorted(configs),
        "settings": dict(sorted(settings.items())),
    }
