"""The idx format of the MNIST files (LeCun, Cortes, Burges): a magic number, sizes, unsigned
bytes.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from msam_lib.errors import DatasetCorrupt

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array in a (gzipped) idx file of unsigned bytes.

    Args:
        path: the file; `.gz` is unpacked.
        dimensions: number that it must have: 3 for images (N, H, W), 1 for labels (N,).

    Raises:
        DatasetCorrupt: a wrong magic number, or fewer or more bytes than the header promises.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetCorrupt(
            f"{path} cannot be unpacked ({error}): it is truncated or no gzip file. "
            "Delete it and fetch it again."
        ) from error
    # Two zeros, the type, the number of dimensions; then the sizes, big-endian; then the values.
    magic = content[:4]
    expected = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if magic != expected:
        raise DatasetCorrupt(
            f"{path} begins with the magic number {magic.hex() or 'of an empty file'}, but "
            f"{expected.hex()} ({dimensions} dimensions of unsigned bytes) is expected: it is "
            "not that idx file."
        )
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DatasetCorrupt(
            f"{path} is truncated inside its header. Delete it and fetch it again."
        )
    # The header promises the number of values.
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != int(np.prod(shape)):
        raise DatasetCorrupt(
            f"{path} holds {len(content) - header} values, but its header promises {shape}: it is "
            "truncated or changed. Delete it and fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
