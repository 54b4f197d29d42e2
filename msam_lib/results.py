"""Results as tidy frames: collected from run directories, frozen into one small file, summarised.

Imports no torch, so a notebook that only reads results opens at once.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.config import Experiment
from msam_lib.errors import MsamError, unknown_name
from msam_lib.presets import PRESETS, preset
from msam_lib.statistics import (
    Interval,
    PairedTest,
    bootstrap_interval,
    paired,
    t_factor,
    t_interval,
)

IDENTITY = ["dataset", "fusion", "method", "label", "seed", "preset", "run"]
COLUMNS = [*IDENTITY, "epoch", "step", "split", "modality", "metric", "value"]


def collect(
    runs: str | os.PathLike[str] | Iterable[Any],
    *,
    unfinished: bool = False,
) -> pd.DataFrame:
    """All measurements of some runs, tidy.

    Args:
        runs: a store (folder of runs), one run directory, or several runs or their paths.
        unfinished: also runs that have not come to their end.

    Returns:
        Columns dataset, fusion, method, label (method with options), seed, preset ("" where no
        preset has these settings), run, epoch, step, split, modality, metric, value.

    Raises:
        MsamError: no runs there, or two settings behind one label and seed.
    """
    parts = [
        _measurements(path)
        for path in run_directories(runs)
        if (path / "metrics.csv").exists() and (unfinished or (path / "DONE").exists())
    ]
    if not parts:
        raise MsamError(
            f"No {'' if unfinished else 'finished '}runs in {runs}. Train some: "
            "Experiment.preset('teach').run(), or `python -m msam_lib figures`."
        )
    frame = pd.concat(parts, ignore_index=True)
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
    """The run directories meant by a store, a directory, runs or paths (those of a store by
    name).
    """
    if isinstance(runs, (str, os.PathLike)):
        path = Path(runs)
        if (path / "config.json").exists():
            return [path]
        return sorted(p.parent for p in path.glob("*/config.json"))
    return [Path(getattr(run, "path", run)) for run in runs]


def _measurements(path: Path) -> pd.DataFrame:
    text = (path / "metrics.csv").read_text()
    whole = text[: text.rfind("\n") + 1]  # a kill may have cut the last line
    frame = pd.read_csv(io.StringIO(whole), keep_default_na=False, dtype={"modality": str})
    frame["value"] = frame["value"].astype(float)
    config = json.loads((path / "config.json").read_text())
    experiment = Experiment.from_dict(config)
    for i, name in enumerate(["dataset", "fusion", "method", "label", "seed"]):
        frame.insert(i, name, getattr(experiment, name))
    frame.insert(5, "preset", preset_of(config))
    frame.insert(6, "run", path.name)
    return frame


def preset_of(config: Mapping[str, Any]) -> str:
    """The preset whose settings a configuration has, or ""."""
    for name in PRESETS:
        fields = preset(name, config["dataset"], config)
        fields.pop("method_options", None)  # radii may be varied within a preset
        if all(config.get(k) == v for k, v in json.loads(json.dumps(fields)).items()):
            return name
    return ""


def final(frame: pd.DataFrame, select: str = "val") -> pd.DataFrame:
    """The rows of one epoch of each run: the one with the best fused accuracy on the validation
    split (the first of equals; the test split is never looked at), or the last.

    Args:
        frame: tidy rows.
        select: `"val"` or `"last"`.
    """
    if select not in ("val", "last"):
        raise unknown_name("select", select, ["val", "last"])
    if select == "last":
        chosen = frame.groupby("run")["epoch"].max()
    else:
        key = (frame["split"] == "val") & (frame["modality"] == "fused")
        val = frame[key & (frame["metric"] == "accuracy")]
        if lacking := sorted(set(frame["run"]) - set(val["run"])):
            raise MsamError(
                f"No fused validation accuracy for {', '.join(lacking[:3])}; select='val' needs "
                "it. Use select='last'."
            )
        best = val.sort_values(["value", "epoch"], ascending=[False, True], kind="stable")
        chosen = best.groupby("run")["epoch"].first()
    return frame[frame["epoch"] == frame["run"].map(chosen)].reset_index(drop=True)


def summary(frame: pd.DataFrame, *, by: Sequence[str] = (), level: float = 0.95) -> pd.DataFrame:
    """Mean over seeds with its Student-t interval.

    Args:
        frame: tidy rows, one epoch of each run (`final`) or several with `by=["epoch"]`.
        by: further columns to keep apart.
        level: of the interval.

    Returns:
        One row per dataset, fusion, method, label, split, modality, metric (and `by`): mean, sd,
        low, high, half (half-width), n; sd and interval are NaN where n = 1.
    """
    keys = ["dataset", "fusion", "method", "label", "split", "modality", "metric", *by]
    if frame.duplicated([*keys, "run"]).any():
        raise MsamError(
            "Several epochs of one run would be averaged. Take final(frame) first, or by=['epoch']."
        )
    grouped = frame.groupby(keys, sort=False)["value"]
    out = grouped.agg(mean="mean", sd="std", n="count").reset_index()
    out["half"] = out["sd"] * t_factor(out["n"].to_numpy(), level)
    out["low"], out["high"] = out["mean"] - out["half"], out["mean"] + out["half"]
    return out


def paired_test(
    frame: pd.DataFrame,
    a: str,
    b: str,
    *,
    metric: str = "accuracy",
    modality: str = "fused",
    split: str = "test",
) -> PairedTest:
    """Compare two labels of `final(frame)` over the seeds that both have (difference a - b).

    Raises:
        MsamError: an unknown label, several values per seed, or fewer than two seeds in common.
    """
    known = frame["label"].unique()
    for label in (a, b):
        if label not in known:
            raise unknown_name("label", label, known)
    rows = frame[
        (frame["metric"] == metric) & (frame["modality"] == modality) & (frame["split"] == split)
    ]
    rows = rows[rows["label"].isin([a, b])]
    if rows.duplicated(["label", "seed"]).any():
        raise MsamError(
            f"Several values of {metric} per label and seed. Take final(frame) of one data set "
            "and one fusion first."
        )
    wide = rows.pivot(index="seed", columns="label", values="value").dropna()
    if a not in wide or b not in wide or len(wide) < 2:
        raise MsamError(f"{a} and {b} have {len(wide)} seeds in common; at least 2 are needed.")
    return paired(wide[a].to_numpy(), wide[b].to_numpy())


def freeze(
    runs: str | os.PathLike[str] | Iterable[Any],
    name: str | os.PathLike[str] = "digits",
    folder: str | os.PathLike[str] = "figures/data",
    **options: Any,
) -> Path:
    """Keep what the figures need of finished runs in one file; see `msam_lib.frozen.freeze`."""
    from msam_lib import frozen  # which reads this module

    return frozen.freeze(runs, name, folder, **options)


def load(name: str = "digits", folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Frozen results as a frame; see `msam_lib.frozen.load`."""
    from msam_lib import frozen

    return frozen.load(name, folder)


__all__ = [
    "Interval",
    "PairedTest",
    "bootstrap_interval",
    "collect",
    "final",
    "freeze",
    "load",
    "paired_test",
    "summary",
    "t_interval",
]
