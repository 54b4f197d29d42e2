"""The choices of the search, kept in one file per data set and fusion.

`tuned/<dataset>-<fusion>.json` holds {label of the case: choice}; `search.tune` writes it, and
`comparison.experiment` reads it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msam_lib._utils.files import locked, write_text
from msam_lib.errors import MsamError

FOLDER = Path(__file__).parent / "tuned"
NONE = FOLDER / "none"  # a folder without choices: the preset's values hold


def store_choices(path: Path, chosen: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Add the choices, with the settings of the search, to the file; others in it are kept."""
    # Several searches may end at the same time: each adds to what the others have written.
    with locked(path.parent, "The folder of choices", wait=60):
        record = _choices(path) if path.exists() else {}
        record |= {label: choice | dict(settings) for label, choice in chosen.items()}
        text = json.dumps(dict(sorted(record.items())), indent=1, default=list)
        write_text(path, _on_one_line(text) + "\n")


def _on_one_line(text: str) -> str:
    """JSON text with every list of numbers on one line."""
    return re.sub(r"\[[\s\d.,e+-]+\]", lambda found: " ".join(found[0].split()), text)


def _choices(path: Path) -> dict[str, Any]:
    """The content of a file of choices.

    Raises:
        MsamError: it is damaged.
    """
    try:
        record = json.loads(path.read_bytes())
        if isinstance(record, dict) and all(isinstance(c, dict) for c in record.values()):
            return record
        error: object = "not a dictionary of choices"
    except (OSError, ValueError) as caught:
        error = caught
    raise MsamError(
        f"{path} is damaged ({error}). Rename it and give the same `python -m msam_lib tune` again:"
        " it is written from the finished runs, which are kept."
    )


def tuned(dataset: str, fusion: str, folder: str | os.PathLike[str] = FOLDER) -> dict[str, Any]:
    """{label of the case: choice} that `tune` stored for this data set and fusion, or for late
    fusion where this fusion was not tuned; empty where nothing was.
    """
    for name in (f"{dataset}-{fusion}.json", f"{dataset}-late.json"):
        path = Path(folder) / name
        if path.exists():
            return _choices(path)
    return {}
