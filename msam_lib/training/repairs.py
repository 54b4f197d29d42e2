"""The repair of a damaged run: back to its last whole epoch."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msam_lib._utils.files import write_text
from msam_lib.errors import MsamError, RunDamaged
from msam_lib.training.checkpoints import (
    CURRENT,
    FILES,
    PREVIOUS,
    content_of,
    differences,
    whole_checkpoint,
)
from msam_lib.training.runs import Run


def repair(run: Run | str | os.PathLike[str]) -> list[str]:
    """Bring a damaged run back to its last whole epoch, from which the next training resumes; the
    numbers are then those of a run that was never damaged.

    Damaged files are not deleted but renamed to `<name>.damaged-<number>`. What a checkpoint
    restores are the measurements, configuration and environment.

    Args:
        run: a run or its directory.

    Returns:
        What was done, a sentence each; empty where nothing was damaged.

    Raises:
        MsamError: this is not a run directory.
        RunBusy: it is being trained.
        CannotWrite: the directory cannot be written.
    """
    run = run if isinstance(run, Run) else Run(run)
    known = (*FILES, CURRENT, PREVIOUS, "metrics.csv")
    if not any((run.path / name).exists() for name in known):
        raise MsamError(
            f"{run.path} is not a run directory. `python -m msam_lib list runs` lists them."
        )
    with run.lock():
        return _repair(run)


def _repair(run: Run) -> list[str]:
    did: list[str] = []
    state = _newest_whole(run, did)
    lost = [name for name in FILES if not _restored(run, name, state, did)]
    complete = run.finished and _finished_is_whole(run, did)
    if complete and not lost:
        return did
    if run.finished:
        os.unlink(run.path / "DONE")
        did.append("DONE is removed: the training has to be completed.")
    if state is None or lost:
        why = "nothing whole is left to resume from"
        changed = [_set_aside(run, n, why, did) for n in (CURRENT, PREVIOUS, "metrics.csv")]
        if did or any(changed):
            did.append("The next training starts from the beginning.")
        return did
    rows = state["metrics"].encode()
    if not _bytes(run.path / "metrics.csv").startswith(rows):
        _set_aside(run, "metrics.csv", "rows are missing or changed", did)
        write_text(run.path / "metrics.csv", state["metrics"])
        did.append("metrics.csv is restored from the checkpoint.")
    if did:
        did.append(f"The next training resumes after epoch {state['epoch']}.")
    return did


def _newest_whole(run: Run, did: list[str]) -> dict[str, Any] | None:
    """The newest checkpoint that is whole and of this run; damaged ones are set aside."""
    for name in (CURRENT, PREVIOUS):
        why = "it belongs to another run"
        try:
            state = whole_checkpoint(run, name)
            if state is None:
                continue
            # One file may be wrong: either the configuration or the measurements say whose it is.
            same = not differences(state["config.json"], content_of(run, "config.json"))
            if same or _bytes(run.path / "metrics.csv").startswith(state["metrics"].encode()):
                if name == PREVIOUS:
                    os.replace(run.path / PREVIOUS, run.path / CURRENT)
                return state
        except RunDamaged as error:
            why = _why(error)
        _set_aside(run, name, why, did)
    return None


def _restored(run: Run, name: str, state: Mapping[str, Any] | None, did: list[str]) -> bool:
    """Whether a JSON file is what the run was started with, after it was restored if need be."""
    there = content_of(run, name)
    wanted = there if state is None else state[name]
    missing = not (run.path / name).exists()
    # A run of somebody's own loop has neither file.
    if not differences(wanted, there) and (there is not None or (missing and wanted is None)):
        return True
    _set_aside(run, name, "it is not what the run was started with", did)
    if wanted is None:
        did.append(f"{name} is written again by the command that started the run.")
        return False
    write_text(run.path / name, json.dumps(wanted, indent=1) + "\n")
    did.append(f"{name} is restored from the checkpoint.")
    return True


def _finished_is_whole(run: Run, did: list[str]) -> bool:
    """Whether model and measurements of a finished run are what the training wrote; a damaged model
    is set aside.
    """
    try:
        there = run.load("model.pt") is not None
    except RunDamaged as error:
        there = not _set_aside(run, "model.pt", _why(error), did)
    try:
        run.metrics()
    except RunDamaged:
        return False
    return there


def _why(error: RunDamaged) -> str:
    """What is wrong, of the whole message."""
    return str(error).partition(" is damaged: ")[2].partition(". Nothing was")[0]


def _set_aside(run: Run, name: str, why: str, did: list[str]) -> bool:
    """Rename a file of the run and record why; returns whether it was there."""
    path = run.path / name
    if not path.exists():
        return False
    names = (f"{name}.damaged-{k}" for k in itertools.count(1))
    free = next(n for n in names if not (run.path / n).exists())
    os.replace(path, path.with_name(free))
    did.append(f"{name} is renamed to {free}: {why}.")
    return True


def _bytes(path: Path) -> bytes:
    """The content of a file; empty where there is none to read."""
    with suppress(OSError):
        return path.read_bytes()
    return b""
