"""Progress bars: shown in a terminal or a notebook, and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def someone_watches() -> bool:
    """Whether standard error is a terminal, or this is a notebook's kernel; never under CI."""
    if os.environ.get("CI"):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def progress_bar(
    iterable: Iterable[Any] | None = None, *, show: bool = True, **options: Any
) -> tqdm:
    """A `tqdm.auto` bar, shown in a terminal or notebook only.

    Args:
        iterable: what to run through; None for a bar that is updated by hand.
        show: False never shows it.
        **options: tqdm's, such as `desc`, `total` and `unit`.
    """
    return tqdm(iterable, disable=not (show and someone_watches()), **options)
