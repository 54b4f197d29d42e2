"""The labels of AVE's clips, read a part at a time."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from msam_lib.data._hdf5 import Hdf5
from msam_lib.errors import DatasetCorrupt

KEY = "avadataset"  # of features and labels
SEGMENTS, EVENTS = 10, 28
BLOCK = 256  # clips whose labels are read at once


class Labels(NamedTuple):
    """Of every clip: its event's column, whether the event occurs at all, and its silent seconds.

    Args:
        event: (N,).
        heard: (N,) booleans.
        silent: (N, 10) booleans.
    """

    event: np.ndarray
    heard: np.ndarray
    silent: np.ndarray


def read_labels(source: Path) -> Labels:
    """What is needed of `labels.h5`, read some clips at a time: a clip's labels take 2 KB."""
    file = Hdf5(source / "labels.h5")
    shape = file.array(KEY).shape
    if len(shape) != 3 or shape[1:] != (SEGMENTS, EVENTS + 1):
        raise DatasetCorrupt(
            f"{file.path} has shape {shape}; expected is (N, {SEGMENTS}, {EVENTS + 1})."
        )
    parts = []
    for start in range(0, max(1, shape[0]), BLOCK):
        block = file.read(KEY, slice(start, start + BLOCK))  # (B, 10, 29)
        events = block[:, :, :EVENTS]
        column = events.sum(1).argmax(1)
        heard = np.any(events[np.arange(len(block)), :, column], axis=1)
        parts.append(Labels(column, heard, block[:, :, EVENTS] > 0))
    return Labels(*map(np.concatenate, zip(*parts, strict=True)))
