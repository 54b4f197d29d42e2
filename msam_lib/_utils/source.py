"""The state of the source tree, for the provenance of results. Imports no torch."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def source_commit() -> str:
    """The commit of the source tree that this package is imported from, with `+` where files were
    changed since; "unknown" outside of git.
    """
    folder = Path(__file__).resolve().parent
    try:
        git = ["git", "-C", str(folder)]
        top = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        state = subprocess.run(
            [*git, "status", "--porcelain", "--", "."], capture_output=True, text=True, check=True
        )
        return top.stdout.strip()[:12] + ("+" if state.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
