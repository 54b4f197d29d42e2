"""Folders of runs."""

from __future__ import annotations

import os
from pathlib import Path

from msam_lib.training.runs import Run


def default_store() -> Path:
    """The folder of runs: `$MSAM_RUNS`, or `runs` in the working directory."""
    return Path(os.environ.get("MSAM_RUNS", "runs"))


def list_runs(store: str | os.PathLike[str] | None = None) -> list[Run]:
    """All runs of a store, sorted by name.

    Args:
        store: folder of runs; by default `default_store()`.
    """
    store = default_store() if store is None else Path(store)
    return [Run(p.parent) for p in sorted(store.glob("*/config.json"))]
