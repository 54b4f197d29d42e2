"""Adding new results to those frozen before, so that a few more methods cost only theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.catalogue import VERSION
from msam_lib.results.frame import COLUMNS
from msam_lib.results.frozen import load, version_of

ROW = ["dataset", "fusion", "label"]  # what identifies a row of a comparison
UNITED = ("commit", "seeds", "presets", "device", "device_name", "instructions", "python", "torch")


def with_earlier(
    rows: pd.DataFrame, record: Mapping[str, Any], target: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and their provenance, with those of the other methods, fusions or settings that are
    frozen in `target` already.

    A method that is among the new rows replaces its earlier ones. Results that a method's step as
    it is now would not give (an older `catalogue.VERSION`) are not kept.

    Args:
        rows: of the new results.
        record: their provenance, see `provenance_of`.
        target: `<folder>/<name>.csv.gz`, which need not exist.
    """
    if not target.exists():
        return rows, dict(record)
    earlier = load(target.name.removesuffix(".csv.gz"), target.parent)
    before = dict(earlier.attrs["provenance"])
    keys = pd.MultiIndex.from_frame(earlier[ROW])
    kept = earlier[~keys.isin(pd.MultiIndex.from_frame(rows[ROW]))]
    if kept.empty or version_of(earlier) != VERSION or "settings" not in before:
        return rows, dict(record)
    whole = pd.concat([rows, kept])[COLUMNS].sort_values(COLUMNS[:-1], kind="stable")
    return whole, _united(record, before, kept, whole=len(kept) == len(earlier))


def _united(
    record: Mapping[str, Any], before: Mapping[str, Any], kept: pd.DataFrame, *, whole: bool
) -> dict[str, Any]:
    """Both provenances in one, without what belongs to results that were replaced.

    Args:
        record, before: of the new and of the earlier results.
        kept: the earlier rows that stay.
        whole: whether all of them do; else their training time is not known.
    """
    out = dict(record)
    for name in UNITED:
        if name in record or name in before:
            out[name] = sorted({*record.get(name, ()), *before.get(name, ())})
    out["training_seconds"] = None
    new, old = record.get("training_seconds"), before.get("training_seconds")
    if whole and new is not None and old is not None:
        out["training_seconds"] = round(new + old, 1)
    out["data"] = {**before.get("data", {}), **record.get("data", {})}
    out["runs"] = sorted({*record["runs"], *kept["run"]})
    # Settings are kept by data set, fusion and label with the options that the search chose.
    left = {run.rpartition("-s")[0] for run in kept["run"].unique()}
    stay = {
        key: value
        for key, value in before["settings"].items()
        if f"{value['dataset']}-{value['fusion']}-{value['method']}" in left
    }
    out["settings"] = dict(sorted({**stay, **record["settings"]}.items()))
    return out
