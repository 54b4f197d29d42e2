"""The errors of this package; each says what was given, what is allowed and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path


class MsamError(ValueError):
    """Base class of this package's errors; a `ValueError`, so ordinary handlers catch it too."""


class DatasetMissing(MsamError):
    """The files of a data set are missing and cannot be downloaded."""


class DatasetCorrupt(MsamError):
    """A data file has a wrong checksum, is truncated, or is of another kind than its name says."""


class UnsupportedSetting(MsamError):
    """This method cannot be used with this fusion, number of modalities or task."""


class NonFiniteLoss(MsamError):
    """The training loss is NaN or infinite."""


class CannotWrite(MsamError):
    """A file cannot be written: the disk is full, the folder is read-only, or it is no folder."""


class RunBusy(MsamError):
    """Another process is writing to this run directory."""


class RunDamaged(MsamError):
    """A file of a run is incomplete, or belongs to another run."""


class WorkerDied(MsamError):
    """The process that worked on a task ended before the task did, again and again."""


class RunsFailed(MsamError):
    """Some of many experiments failed.

    Args:
        message: what failed, and what is kept.
        failures: {name of the run: its error}.
    """

    def __init__(self, message: str, failures: Mapping[str, Exception] | None = None) -> None:
        super().__init__(message)
        self.failures = dict(failures or {})


def run_damaged(path: Path, why: object) -> RunDamaged:
    """The error for a file of a run that cannot be trusted: what is kept, and how to repair it.

    Args:
        path: of the file, in its run directory.
        why: how that was seen.
    """
    return RunDamaged(
        f"{path} is damaged: {why}. Nothing was changed, and the run's other files are kept. "
        f"`python -m msam_lib repair {path.parent}` returns to the last whole epoch."
    )


def unknown_name(what: str, name: object, known: Iterable[str]) -> MsamError:
    """The error for a name that is not in a registry, with the nearest one suggested.

    >>> print(unknown_name("method", "mssam", ["sam", "msam"]))
    Unknown method 'mssam'. Did you mean 'msam'? Available: msam, sam.
    """
    known = sorted(known)
    near = get_close_matches(str(name).lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return MsamError(f"Unknown {what} {name!r}.{hint} Available: {', '.join(known)}.")
