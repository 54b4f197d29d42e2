"""One way to show progress: a bar in a terminal or a notebook, nothing where nobody looks."""

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
    """A `tqdm.auto` bar, silent where nobody watches. Options as tqdm's (`desc`, `total`, `unit`,
    ...).
    """
    return tqdm(iterable, disable=not (show and someone_watches()), **options)
