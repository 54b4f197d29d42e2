"""How long a reader waits: seconds from Run All to the first picture, and to the end.

    python tools/time_notebooks.py [NN ...]    every notebook, or those with these numbers

Runs each solution in a kernel of its own, in an empty store of runs (`MSAM_RUNS`), and writes
nothing. The start of the kernel counts.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tools import build_notebooks


class Watched(NotebookClient):
    """A client that notes when the first picture came."""

    first: float | None = None

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, index: int) -> Any:
        """Handle a message of the kernel; pictures are noticed."""
        if self.first is None and "image/png" in msg["content"].get("data", {}):
            self.first = time.perf_counter()
        return super().process_message(msg, cell, index)


def timed(source: Path) -> tuple[float | None, float]:
    """(seconds to the first picture, None where there is none; seconds to the end)."""
    book = build_notebooks.solution(source)
    folder = str(build_notebooks.ROOT / "notebooks")
    client = Watched(book, timeout=1800, resources={"metadata": {"path": folder}})
    start = time.perf_counter()
    client.execute()
    end = time.perf_counter()
    return None if client.first is None else client.first - start, end - start


def main(wanted: list[str]) -> int:
    """Time notebooks one after the other, and print a line for each."""
    for source in build_notebooks.sources():
        if wanted and source.stem[:2] not in wanted:
            continue
        with tempfile.TemporaryDirectory() as store:
            os.environ["MSAM_RUNS"] = store
            first, whole = timed(source)
        said = "no picture" if first is None else f"{first:6.1f} s to the first picture"
        print(f"{source.stem:34} {said}, {whole:6.1f} s in all", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
