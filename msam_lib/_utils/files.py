"""Atomic writing: a file is complete or absent, whatever happens while it is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, save: Callable[[Path], object]) -> Path:
    """Call `save(temporary path)`, then rename the file to `path`; returns `path`."""
    temporary = path.with_name(path.name + ".tmp")
    save(temporary)
    os.replace(temporary, path)
    return path


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes atomically; returns `path`."""
    return write_atomically(path, lambda p: p.write_bytes(content))


def write_text(path: Path, text: str) -> Path:
    """Write text atomically, in UTF-8 with line ends as given; returns `path`."""
    return write_bytes(path, text.encode())
