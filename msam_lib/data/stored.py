"""`StoredArray`: the samples of one modality in a .npy file, read and made float32 per batch.

It stands where an in-memory split has a tensor: `x[index]` are float32 samples, `len(x)` their
number. The file is mapped anew for every read and only its rows are copied, so that neither the
array nor the pages read before count towards the memory of the process.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from msam_lib.data.transforms import AS_STORED, Transform
from msam_lib.errors import DatasetCorrupt

Draw = tuple[int, int]  # seed and epoch, which with a sample's row determine how it is varied
BLOCK = 64 * 2**20  # bytes of float32 samples that are read at once where all are run through
RAW = 32 * 2**20  # bytes as stored that are in memory at once


@dataclass(frozen=True)
class StoredArray:
    """Rows of a .npy file, through a transform.

    Args:
        path: the file, an array (R, ...) in C order.
        transform: from raw rows (B, ...) to float32 (B, ...).
        rows: (N,) which rows are the samples, in order; all by default.

    Raises:
        DatasetCorrupt: the file is missing, is no array, or is shorter than its header says.
    """

    path: Path
    transform: Transform = AS_STORED
    rows: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"StoredArray({self.path.name})"  # reads nothing: the file may be gone

    def __len__(self) -> int:
        return self._header[0][0] if self.rows is None else len(self.rows)

    def __getitem__(self, index: Any) -> Tensor:
        if isinstance(index, int):
            return self.read(torch.tensor([range(len(self))[index]]))[0]
        return self.read(torch.arange(len(self))[index])

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...), as after the transform."""
        return (len(self), *self.transform.shape(self._header[0][1:]))

    @property
    def dtype(self) -> torch.dtype:
        """float32, whatever is stored."""
        return torch.float32

    def is_floating_point(self) -> bool:
        """True: every transform gives float32."""
        return True

    def read(self, index: Tensor, draw: Draw | None = None) -> Tensor:
        """The samples (B, ...) at `index` (B,); with `draw`, varied as the transform says."""
        rows = index.numpy() if self.rows is None else self.rows[index.numpy()]
        size = max(1, RAW // max(1, self._row_bytes))
        if len(rows) <= size:
            return self._transformed(rows, draw)
        # A stored sample may be much larger than what the transform leaves of it.
        out = torch.empty(len(rows), *self.shape[1:])
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            out[part] = self._transformed(rows[part], draw)
        return out

    def _transformed(self, rows: np.ndarray, draw: Draw | None) -> Tensor:
        """The samples (B, ...) of these rows of the file, which are in memory at once."""
        raw = torch.from_numpy(self._raw(rows))
        if draw is None:
            return self.transform(raw)
        seed, epoch = draw
        salt = zlib.crc32(self.path.name.encode())  # two modalities are varied independently
        key = [seed & 0xFFFF_FFFF_FFFF_FFFF, epoch, salt]
        generators = [np.random.default_rng([*key, int(row)]) for row in rows]
        return self.transform(raw, generators)

    def view(self, index: Tensor | Sequence[int]) -> StoredArray:
        """The samples at `index` (K,), in that order; nothing is read."""
        chosen = np.asarray(index, dtype=np.int64)
        every = np.arange(len(self)) if self.rows is None else self.rows
        return replace(self, rows=every[chosen])

    def blocks(self) -> Sequence[Tensor]:
        """Indices (B,) of consecutive samples that together take about 64 MiB."""
        size = max(1, BLOCK // max(1, 4 * int(np.prod(self.shape[1:]))))
        return torch.arange(len(self)).split(size)

    def mean(self) -> Tensor:
        """The mean sample (...), summed in double precision."""
        total = torch.zeros(self.shape[1:], dtype=torch.float64)
        for index in self.blocks():
            total += self.read(index).sum(0, dtype=torch.float64)
        return (total / len(self)).float()

    @cached_property
    def _header(self) -> tuple[tuple[int, ...], np.dtype, int]:
        """Shape, type and offset of the data in the file."""
        try:
            with self.path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = getattr(np.lib.format, f"read_array_header_{version[0]}_{version[1]}")
                shape, fortran, dtype = read(file)
                offset = file.tell()
        except (OSError, ValueError, AttributeError) as error:
            raise DatasetCorrupt(f"{self.path} cannot be read as an array: {error}.") from error
        if fortran or dtype.hasobject or not shape:
            raise DatasetCorrupt(f"{self.path} must be a plain array (N, ...) in C order.")
        return shape, dtype, offset

    @property
    def _row_bytes(self) -> int:
        """Bytes of one row of the file."""
        shape, dtype, _ = self._header
        return math.prod(shape[1:]) * dtype.itemsize

    def _raw(self, rows: np.ndarray) -> np.ndarray:
        """Copies of these rows (B, ...) of the file."""
        shape, dtype, offset = self._header
        try:
            # Mapped for this read only: a lasting map would keep all pages ever read.
            return np.asarray(np.memmap(self.path, dtype, "r", offset, shape)[rows])
        except (OSError, ValueError) as error:
            raise DatasetCorrupt(
                f"{self.path} cannot be read ({error}): it is missing or truncated."
            ) from error


def opened_array(path: Path, n: int, shape: tuple[int, ...], dtype: str, done: int) -> BinaryIO:
    """The .npy file of n samples, open behind the first `done` of them."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False}
    file = path.open("r+b" if path.exists() else "w+b")
    np.lib.format.write_array_header_1_0(file, header | {"shape": (n, *shape)})
    file.seek(done * int(np.prod(shape)) * np.dtype(dtype).itemsize, os.SEEK_CUR)
    return file


def as_stored(x: np.ndarray, shape: tuple[int, ...], dtype: str) -> bytes:
    """The bytes of one sample."""
    if x.shape != shape:
        raise DatasetCorrupt(f"A sample has shape {x.shape} where {shape} is expected.")
    return np.ascontiguousarray(x, dtype=dtype).tobytes()
