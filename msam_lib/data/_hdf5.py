"""HDF5 files of features, read by h5py without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from msam_lib.data.media import need
from msam_lib.errors import DatasetCorrupt, DatasetMissing


class Hdf5:
    """An HDF5 file that stays open; only what is asked for is read.

    Args:
        path: of the file.

    Raises:
        DatasetMissing: there is no such file.
        DatasetCorrupt: it is truncated or no HDF5 file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DatasetMissing(f"{path} is not there.")
        self.path = path
        try:
            self._file = need("h5py").File(path, "r")
        except OSError as error:
            raise DatasetCorrupt(
                f"{path} cannot be opened as HDF5 ({error}). Fetch it again."
            ) from error

    def array(self, key: str) -> Any:
        """The data set under this key: it has a shape, and is read where it is indexed.

        Raises:
            DatasetCorrupt: there is none.
        """
        found = self._file.get(key)
        if found is None or not hasattr(found, "shape"):
            listed = list(self._file)[:8]
            raise DatasetCorrupt(f"{self.path} has no array {key!r}; it begins with {listed}.")
        return found

    def read(self, key: str, index: Any = ()) -> np.ndarray:
        """The numbers at an index of the array under this key; all by default.

        Raises:
            DatasetCorrupt: there are none, or they cannot be read.
        """
        try:
            return np.asarray(self.array(key)[index])
        except (OSError, IndexError, ValueError) as error:
            raise DatasetCorrupt(
                f"{self.path}: {key!r} at {index} cannot be read ({error}). Fetch it again."
            ) from error
