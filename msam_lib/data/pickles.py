"""Pickles of published features, read without running anything that they ask for.

Only arrays of numpy and the containers of Python are made; any other name in a pickle ends the
reading before it is looked up.
"""

from __future__ import annotations

import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

from msam_lib.data._download import sha256_of
from msam_lib.errors import DatasetCorrupt, DatasetMissing

# numpy 1 and 2 name the same functions differently. Empty arrays of protocol 2 ask for bytes.
ALLOWED = {
    ("builtins", "set"), ("builtins", "frozenset"), ("builtins", "bytearray"),
    ("builtins", "bytes"), ("builtins", "complex"), ("collections", "OrderedDict"),
    ("_codecs", "encode"),
    ("numpy", "ndarray"), ("numpy", "dtype"),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"),
        )
    ),
}  # fmt: skip


class _Reader(pickle.Unpickler):
    """An unpickler that knows `ALLOWED` only."""

    def find_class(self, module: str, name: str) -> Any:
        # Python 2 called the module of its built-in names otherwise.
        module = {"__builtin__": "builtins"}.get(module, module)
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return getattr(import_module(module.replace("numpy.core", "numpy._core")), name)

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside the file")


def read_pickle(path: Path, sha256: str = "") -> Any:
    """The content of a pickle of numpy arrays and of dictionaries, lists, tuples, sets, texts and
    numbers.

    Args:
        path: the file.
        sha256: expected digest; "" accepts any.

    Raises:
        DatasetMissing: there is no such file.
        DatasetCorrupt: another digest, truncated, no pickle, or a pickle of other things; nothing
            that it asks for is run.
    """
    if not path.is_file():
        raise DatasetMissing(f"{path} is not there.")
    if sha256 and (found := sha256_of(path)) != sha256:
        raise DatasetCorrupt(
            f"{path} has sha256 {found[:16]}..., not {sha256[:16]}... as expected."
        )
    try:
        with path.open("rb") as file:
            return _Reader(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError,
            IndexError, ImportError, MemoryError, OverflowError) as error:  # fmt: skip
        raise DatasetCorrupt(
            f"{path} was not read: {error or type(error).__name__}. Only arrays of numbers, texts "
            "and containers are accepted, and nothing of the file was run. Fetch it again, or "
            "convert it to such a pickle."
        ) from error
