"""Checkpoints: the state of a training after a whole epoch.

A checkpoint also holds what shows that it belongs to its run, and restores the run's other files:
configuration, environment and the measurements up to its epoch. The one before is kept as
`checkpoint.previous.pt`, so that any damaged file costs at most one epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from msam_lib._utils.world import world
from msam_lib.errors import MsamError, run_damaged
from msam_lib.training.history import History
from msam_lib.training.runs import Run

CURRENT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
FILES = ("config.json", "environment.json")
KEYS = {
    "epoch",
    "steps",
    "ranks",
    "model",
    "method",
    "optimizer",
    "scheduler",
    "rng",
    "metrics",
    *FILES,
}


def write_checkpoint(
    run: Run, history: History, parts: Mapping[str, Any], device: torch.device, **counts: int
) -> None:
    """Write the state of a training after a whole epoch, whose measurements are written already.

    Args:
        run: where to.
        history: its measurements.
        parts: {name: what has a `state_dict`, or None}: model, method, optimizer, scheduler.
        device: whose random numbers are kept beside those of the CPU.
        **counts: `epoch` and `steps` done, and the number of `ranks`.

    Raises:
        CannotWrite: the file cannot be written; the former checkpoint is there still.
    """
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    state = {name: None if part is None else part.state_dict() for name, part in parts.items()}
    state |= {"rng": torch.get_rng_state(), "cuda_rng": cuda, "metrics": history.text()}
    state |= {name: content_of(run, name) for name in FILES}
    run.save(CURRENT, state | counts, previous=PREVIOUS)


def read_checkpoint(
    run: Run, history: History, parts: Mapping[str, Any], device: torch.device
) -> dict[str, Any] | None:
    """Bring all parts to the state of the run's checkpoint, cut the measurements to its epoch, and
    return the checkpoint; None where there is none. Arguments as in `write_checkpoint`.

    Raises:
        RunDamaged: it is incomplete, belongs to another run or does not fit the measurements.
    """
    # Between the two renames of a write there is only the one before.
    name = CURRENT if (run.path / CURRENT).exists() else PREVIOUS
    state = whole_checkpoint(run, name, device)
    if state is None:
        return None
    other = differences(state["config.json"], content_of(run, "config.json"))
    if other:
        raise run_damaged(run.path / name, f"it belongs to a run with another {', '.join(other)}")
    if (before := state["ranks"]) != world.size:
        raise MsamError(
            f"The run was begun on {before} rank(s), and this is {world.size}: its numbers would "
            f"be of neither. Start it with torchrun --nproc-per-node {before}, or train anew in "
            "another store."
        )
    # Rows of an epoch without checkpoint are measured again.
    history.keep_until(state["epoch"], state["metrics"] if world.first else None)
    try:
        for key, part in parts.items():
            if part is not None:
                part.load_state_dict(state[key])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"it does not fit this model, method or optimizer ({str(error)[:200]})"
        raise run_damaged(run.path / name, why) from error
    torch.set_rng_state(state["rng"].cpu())
    if state["cuda_rng"] is not None:
        torch.cuda.set_rng_state(state["cuda_rng"].cpu(), device)
    return state


def whole_checkpoint(
    run: Run, name: str, device: torch.device | str = "cpu"
) -> dict[str, Any] | None:
    """The checkpoint of that name, which is whole and has all that a checkpoint has, or None."""
    state = run.load(name, device)
    if state is not None and not set(state) >= KEYS:
        missing = ", ".join(sorted(KEYS - set(state)))
        raise run_damaged(run.path / name, f"this version's checkpoints have {missing}, it has not")
    return state


def content_of(run: Run, name: str) -> dict[str, Any] | None:
    """The content of a JSON file of the run; None where it is missing or damaged."""
    try:
        return run.read_json(name)
    except MsamError:
        return None


def differences(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> list[str]:
    """The settings in which two configurations differ; the device does not count."""
    first, second = first or {}, second or {}
    names = sorted({*first, *second} - {"device"})
    return [k for k in names if first.get(k) != second.get(k)]
