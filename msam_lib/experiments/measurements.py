"""Collecting the measurements of run directories in one tidy frame."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.errors import MsamError
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.presets import PRESETS, preset
from msam_lib.training import Run


def collect(
    runs: str | os.PathLike[str] | Iterable[Any],
    *,
    unfinished: bool = False,
) -> pd.DataFrame:
    """All measurements of some runs as a tidy frame.

    Args:
        runs: a store (folder of runs), one run directory, or several runs or their paths.
        unfinished: include runs that have not finished.

    Returns:
        Columns dataset, fusion, method, label (method with options), seed, preset ("" where no
        preset has these settings), run, epoch, step, split, modality, metric, value.

    Raises:
        MsamError: there are no runs, or runs with different settings share label and seed.
    """
    parts = [
        _measurements(path)
        for path in run_directories(runs)
        if (path / "metrics.csv").exists() and (unfinished or (path / "DONE").exists())
    ]
    if not parts:
        raise MsamError(
            f"No {'' if unfinished else 'finished '}runs in {runs}. Train some: "
            "run_experiment(Experiment.preset('teach')), or `python -m msam_lib figures`."
        )
    frame = pd.concat(parts, ignore_index=True)
    # Two settings under one label and seed would be averaged unnoticed.
    same = frame.drop_duplicates("run").groupby(["dataset", "fusion", "label", "seed"])["run"]
    for key, group in same:
        if len(group) > 1:
            raise MsamError(
                f"{len(group)} runs with different settings share {', '.join(map(str, key))}: "
                f"{', '.join(group)}. Hand over only the runs you mean, or keep them in "
                "different stores."
            )
    return frame


def run_directories(runs: str | os.PathLike[str] | Iterable[Any]) -> list[Path]:
    """The run directories of a store (sorted by name), of one directory, or of runs or paths."""
    if isinstance(runs, (str, os.PathLike)):
        path = Path(runs)
        if (path / "config.json").exists():
            return [path]
        return sorted(p.parent for p in path.glob("*/config.json"))
    return [Path(getattr(run, "path", run)) for run in runs]


def _measurements(path: Path) -> pd.DataFrame:
    """The measurements of one run directory with the columns that identify the run."""
    run = Run(path)
    frame = pd.read_csv(
        io.StringIO(run.metrics_text()), keep_default_na=False, dtype={"modality": str}
    )
    frame["value"] = frame["value"].astype(float)
    config = run.config
    experiment = Experiment.from_dict(config, path)
    # Columns that identify the run come first.
    for i, name in enumerate(["dataset", "fusion", "method", "label", "seed"]):
        frame.insert(i, name, getattr(experiment, name))
    frame.insert(5, "preset", preset_of(config))
    frame.insert(6, "run", path.name)
    return frame


def preset_of(config: Mapping[str, Any]) -> str:
    """The name of the preset whose settings a run's configuration has; "" for none."""
    for name in PRESETS:
        fields = preset(name, config["dataset"], config)
        fields.pop("method_options", None)  # radii may differ within a preset
        # Through JSON, as the configuration was, which turns tuples into lists.
        if all(config.get(k) == v for k, v in json.loads(json.dumps(fields)).items()):
            return name
    return ""


def seconds_of(run: Run) -> float | None:
    """How long the training of a run took; None where that is not known."""
    try:
        return float(run.read_json("timing.json")["seconds"])
    except (MsamError, KeyError, TypeError, ValueError):
        return None
