"""Frozen results: what the figures need of many runs in one small file, with where it came from.

Imports no torch.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.config import Experiment
from msam_lib.errors import MsamError, unknown_name
from msam_lib.results import COLUMNS, collect, final, preset_of, run_directories

# What the figures and tables read, by split; "contribution/..." is kept at the final epochs only.
KEPT: dict[str, tuple[str, ...]] = {
    "probe": ("hessian_trace", "hessian_trace_se"),
    "val": ("accuracy",),
    "test": (
        "accuracy",
        "accuracy_head",
        "accuracy_shapley",
        "contribution",
        "macro_f1",
        "calibration_error",
        "loss",
    ),
}


def freeze(
    runs: str | os.PathLike[str] | Iterable[Any],
    name: str | os.PathLike[str] = "digits",
    folder: str | os.PathLike[str] = "figures/data",
    *,
    metrics: Mapping[str, Sequence[str]] = KEPT,
) -> Path:
    """Write what the figures need of finished runs to `<folder>/<name>.csv.gz`, and where it came
    from to `<name>.provenance.json` beside it.

    The bytes depend on the measurements alone (gzip without a time stamp). Values keep 6 digits.

    Args:
        runs: a store, or several runs or their paths, as in `results.collect`.
        name: of the result; or a whole path ending in `.csv.gz`, and `folder` is not used.
        folder: where to write.
        metrics: {split: metrics} to keep. Contributions within classes are always kept, at the
            epoch with the best validation accuracy and at the last.

    Returns:
        The path of the `.csv.gz` file.
    """
    whole = str(name).endswith(".csv.gz")
    target = Path(name) if whole else Path(folder) / f"{name}.csv.gz"
    paths = run_directories(runs)
    frame = collect(paths)
    ends = pd.concat([final(frame), final(frame, "last")]).drop_duplicates()
    kept = [
        frame[(frame["split"] == split) & frame["metric"].isin(list(wanted_metrics))]
        for split, wanted_metrics in metrics.items()
    ]
    kept.append(ends[ends["metric"].str.startswith("contribution/")])
    rows = pd.concat(kept)[COLUMNS].sort_values(COLUMNS[:-1], kind="stable")
    text = rows.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    kept_runs = set(frame["run"])
    return write_frozen(target, text, provenance_of([p for p in paths if p.name in kept_runs]))


def write_frozen(target: Path, text: str, record: Mapping[str, Any]) -> Path:
    """Write CSV text as `<name>.csv.gz`, bytes depending on the text alone, and its provenance
    beside it.
    """
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(text.encode())
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = dict(record) | {"sha256": sha256(buffer.getvalue())}
    _write(target, buffer.getvalue())
    _write(_beside(target), (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())
    return target


def provenance_of(paths: Sequence[Path]) -> dict[str, Any]:
    """Commit, seeds, device, versions, data and settings of some runs."""
    configs = {p.name: json.loads((p / "config.json").read_text()) for p in paths}
    records = [json.loads((p / "environment.json").read_text()) for p in paths]
    seconds = {
        p.name: json.loads((p / "timing.json").read_text())["seconds"]
        for p in paths
        if (p / "timing.json").exists()
    }
    settings = {}
    for config in configs.values():
        key = f"{config['dataset']} {config['fusion']} {Experiment.from_dict(config).label}"
        settings[key] = {k: v for k, v in config.items() if k not in ("seed", "device")}

    def distinct(name: str) -> list[Any]:
        return sorted({r[name] for r in records if name in r})

    return {
        "commit": distinct("commit"),
        "seeds": sorted({c["seed"] for c in configs.values()}),
        "presets": sorted({preset_of(c) for c in configs.values()}),
        "device": distinct("device"),
        "device_name": distinct("device_name"),
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


def load(name: str = "digits", folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Frozen results, with their provenance in `frame.attrs["provenance"]` ({} where unknown).

    Args:
        name: such as `"digits"` for `digits.csv.gz`.
        folder: where it lies; `figures/data` here, or else of this source tree.
    """
    path = find(name, folder)
    text = {c: str for c in COLUMNS if c not in ("seed", "epoch", "step", "value")}
    frame = pd.read_csv(path, keep_default_na=False, dtype=text)
    frame["value"] = frame["value"].astype(float)
    sidecar = _beside(path)
    record = json.loads(sidecar.read_text()) if sidecar.exists() else {}
    frame.attrs["provenance"] = Provenance(record)
    return frame


class Provenance(dict[str, Any]):
    """Where frozen results came from: read, and never changed.

    pandas copies `attrs` deeply in nearly every operation, which took a fifth of the time of
    drawing; these are shared.
    """

    def __deepcopy__(self, memo: object) -> Provenance:
        return self


def find(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The file of frozen results of that name.

    Raises:
        MsamError: where there is none.
    """
    here = Path("figures/data"), Path(__file__).resolve().parents[1] / "figures" / "data"
    folders = here if folder is None else (Path(folder),)
    for place in folders:
        if (place / f"{name}.csv.gz").exists():
            return place / f"{name}.csv.gz"
    there = sorted(p.name.removesuffix(".csv.gz") for f in folders for p in f.glob("*.csv.gz"))
    if there:
        raise unknown_name("frozen results", name, there)
    raise MsamError(
        f"No frozen results {name!r} in {folders[0]}. `python -m msam_lib figures` makes them."
    )


def sha256(content: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()


def _beside(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".csv.gz") + ".provenance.json")


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
