"""Frozen results: small files that hold what the figures need, with their provenance."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib._utils.files import make_folder, write_bytes
from msam_lib.catalogue import CORRECTED, DEFAULT_DATASET, METHODS
from msam_lib.errors import MsamError, unknown_name
from msam_lib.results.frame import COLUMNS


def write_frozen(target: Path, text: str, record: Mapping[str, Any]) -> Path:
    """Write CSV text and, beside it, its provenance; returns the path of the former.

    Args:
        target: `<folder>/<name>.csv.gz`; its bytes depend on the text alone.
        text: the CSV text.
        record: the provenance; the digest of the file is added.
    """
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(text.encode())
    make_folder(target.parent)
    whole = dict(record) | {"sha256": sha256(buffer.getvalue())}
    write_bytes(target, buffer.getvalue())
    write_bytes(_beside(target), (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())
    return target


def path_of(name: str, folder: str | os.PathLike[str]) -> Path:
    """The path of frozen results of that name, in that folder and in no other.

    Raises:
        MsamError: the name has separators, or another character than letters, digits, `_`, `-`
            and dots within; or, after an `@`, than those of options (`=`, `,`, brackets, signs).

    >>> path_of("digits", "figures/data").as_posix()
    'figures/data/digits.csv.gz'
    """
    if not re.fullmatch(r"\w[\w.-]*(@[\w.=,()+-]+)?", name) or name.endswith((".", ".csv.gz")):
        raise MsamError(
            f"name={name!r}; frozen results have a plain name such as 'digits' (letters, digits, "
            "_, - and dots within; after an @ options such as snr_db=-6, too). They are written to "
            f"{folder}; another folder is chosen with `--out`, or `folder=`."
        )
    return Path(folder) / f"{name}.csv.gz"


def write_frame(
    target: Path,
    frame: pd.DataFrame,
    record: Mapping[str, Any],
    *,
    float_format: str | None = "%.6g",
) -> Path:
    """Write a frame as frozen results; otherwise as `write_frozen`.

    Args:
        float_format: of numbers; None writes all digits.
    """
    text = frame.to_csv(index=False, lineterminator="\n", float_format=float_format)
    return write_frozen(target, text, record)


def load(name: str = DEFAULT_DATASET, folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Frozen results, with their provenance in `frame.attrs["provenance"]` ({} where unknown).

    Args:
        name: such as `"digits"` for `digits.csv.gz`.
        folder: of the file; by default `figures/data` of the working directory, or else of this
            source tree.

    Raises:
        MsamError: there is no such file.
    """
    path = find(name, folder)
    text = {c: str for c in COLUMNS if c not in ("seed", "epoch", "step", "value")}
    frame = pd.read_csv(path, keep_default_na=False, dtype=text)
    if "value" in frame:  # costs have ratios instead
        frame["value"] = frame["value"].astype(float)
    sidecar = _beside(path)
    record = json.loads(sidecar.read_text()) if sidecar.exists() else {}
    frame.attrs["provenance"] = Provenance(record)
    return frame


class Provenance(dict[str, Any]):
    """Where frozen results came from; read only.

    pandas copies `attrs` deeply in nearly every operation, which took a fifth of the time of
    drawing, so a deep copy returns the same object.
    """

    def __deepcopy__(self, memo: object) -> Provenance:
        return self


def version_of(frame: pd.DataFrame) -> int:
    """The oldest version of the training's meaning among the runs behind frozen results; 1 where
    nothing says so.
    """
    record = frame.attrs.get("provenance", {})
    settings = record.get("settings", {}).values()
    versions = [int(s["version"]) for s in settings if "version" in s]
    return min(versions, default=int(record.get("version", 1)))


def outdated(frame: pd.DataFrame) -> list[str]:
    """Titles of the methods in frozen results whose steps have been corrected since."""
    there, version = set(frame["method"]), version_of(frame)
    corrected = {m for v, methods in CORRECTED.items() if v > version for m in methods}
    return [row.title for name, row in METHODS.items() if name in corrected & there]


def find(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The path of the frozen results of that name; folder as for `load`.

    Raises:
        MsamError: there is no such file.
    """
    usual = Path("figures/data"), Path(__file__).resolve().parents[2] / "figures" / "data"
    folders = usual if folder is None else (Path(folder),)
    for place in folders:
        if (place / f"{name}.csv.gz").exists():
            return place / f"{name}.csv.gz"
    available = sorted(p.name.removesuffix(".csv.gz") for f in folders for p in f.glob("*.csv.gz"))
    if available:
        raise unknown_name("frozen results", name, available)
    raise MsamError(
        f"No frozen results {name!r} in {folders[0]}. `python -m msam_lib figures` makes them."
    )


def sha256(content: bytes) -> str:
    """The SHA-256 digest of these bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _beside(path: Path) -> Path:
    """The path of the provenance of frozen results."""
    return path.with_name(path.name.removesuffix(".csv.gz") + ".provenance.json")
