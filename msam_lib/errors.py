"""The errors of this package; each says what was given, what is allowed and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


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


def unknown_name(what: str, name: object, known: Iterable[str]) -> MsamError:
    """The error for a name that is not in a registry, with the nearest one suggested.

    >>> print(unknown_name("method", "mssam", ["sam", "msam"]))
    Unknown method 'mssam'. Did you mean 'msam'? Available: msam, sam.
    """
    known = sorted(known)
    near = get_close_matches(str(name).lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return MsamError(f"Unknown {what} {name!r}.{hint} Available: {', '.join(known)}.")
