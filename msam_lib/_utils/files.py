"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, save: Callable[[Path], object]) -> Path:
    """Call `save(temporary path)`, then rename: the file is whole or not there. Returns `path`."""
    temporary = path.with_name(path.name + ".tmp")
    save(temporary)
    os.replace(temporary, path)
    return path


def write_bytes(path: Path, content: bytes) -> Path:
    """Write these bytes atomically."""
    return write_atomically(path, lambda p: p.write_bytes(content))


def write_text(path: Path, text: str) -> Path:
    """Write this text atomically, in UTF-8 with line ends as given."""
    return write_bytes(path, text.encode())
