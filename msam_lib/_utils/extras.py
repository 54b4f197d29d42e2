"""Packages of the optional extras, imported when they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from msam_lib.errors import MsamError


def optional(module: str, extra: str, why: str = "This", instead: str = "") -> Any:
    """A module of an extra.

    Args:
        module: to be imported, such as `"h5py"` or `"PIL.Image"`.
        extra: of this project, which installs it.
        why: what needs it, for the error.
        instead: a sentence on what works without it.

    Raises:
        MsamError: it is not installed; the message has the command.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MsamError(
            f"{why} needs {module.partition('.')[0]}, which is not installed ({error}): "
            f"pip install 'msam-lib[{extra}]'. {instead}".rstrip()
        ) from error
