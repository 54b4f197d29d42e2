"""Data of any size in an official layout, sparse where possible; for `tools.large_data`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from msam_lib.data import kinetics_sounds
from msam_lib.data.prepared import folder_name
from msam_lib.data.stored import opened_array
from tests.data.distributions import write_clip, write_csv

SIDE = 1024  # pixels of height of kept frames
CLASSES = 31  # of Kinetics-Sounds
HELD = 5 * CLASSES  # clips of Kinetics-Sounds for testing: a full batch
LEAST = 3 * HELD


class Layout(NamedTuple):
    """A way to make data.

    Args:
        dataset: its name.
        make: `make(folder, samples)`, the distribution; or the cache, where nothing is prepared.
        sample_bytes: of one sample where it is largest: in the source or as prepared.
        prepare, train: options of the command; None of `prepare` where nothing is prepared.
            `SHARE` stands for the share of the training list that validates.
    """

    dataset: str
    make: Callable[[Path, int], None]
    sample_bytes: int
    prepare: tuple[str, ...] | None = ()
    train: tuple[str, ...] = ()


def make_ave(folder: Path, n: int) -> None:
    """So many clips, every event as often; 560 each in the parts for validation and testing."""
    folder.mkdir(parents=True)
    for name, shape in (("audio", (10, 128)), ("visual", (10, 7, 7, 512))):
        with h5py.File(folder / f"{name}_feature.h5", "w") as file:
            # Given its place in the file at once, but never written: a hole, which reads as zeros.
            hole = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            hole.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            hole.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            file.create_dataset("avadataset", (n, *shape), "f4", dcpl=hole)
    with h5py.File(folder / "labels.h5", "w") as file:
        labels = file.create_dataset("avadataset", (n, 10, 29), "i8", chunks=(256, 10, 29))
        for start in range(0, n, 256):
            event = np.arange(start, min(start + 256, n)) % 28
            block = np.zeros((len(event), 10, 29), np.int64)
            block[np.arange(len(event)), :, event] = 1
            labels[start : start + len(event)] = block
    part = np.arange(n) // (20 * 28)  # whole rounds of events, so that every part has every one
    for name, chosen in (("train", part > 1), ("val", part == 0), ("test", part == 1)):
        with h5py.File(folder / f"{name}_order.h5", "w") as file:
            file["order"] = np.flatnonzero(chosen)
    with (folder / "Annotations.txt").open("w") as file:
        file.write("Category&VideoID&Quality&StartTime&EndTime\n")
        file.writelines(f"event {k % 28:02d}&video{k}&good&0&10\n" for k in range(n))


def make_sparse(cache: Path, n: int) -> None:
    """So many clips as `prepare` would leave them, all zeros, in files that are holes."""
    folder = cache / "prepared" / folder_name("kinetics_sounds", RECIPE)
    folder.mkdir(parents=True)
    for name, (shape, dtype) in ARRAYS.items():
        with opened_array(folder / f"{name}.npy", n, shape, dtype, n) as file:
            file.truncate()  # at its end, behind what was never written
    rows = [[part, f"clip{k}", k % CLASSES, n] for k, part in enumerate(_parts(n))]
    write_csv(folder / "samples.csv", ["part", "name", "label", "listed"], rows)
    files = {p.name: {"bytes": p.stat().st_size} for p in folder.iterdir()}
    manifest = {"name": "kinetics_sounds", "recipe": RECIPE, "samples": n, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def make_whole(folder: Path, n: int) -> None:
    """So many clips, all of them links to a few."""
    clips = folder / "clips"
    clips.mkdir(parents=True)
    rows: dict[str, list[list[object]]] = {"train": [], "test": []}
    for k, part in enumerate(_parts(n)):
        path = clips / f"clip{k}.mp4"
        if k < 8:
            write_clip(path, hertz=200 + 100 * k, colour=20 * k)
        else:
            os.link(clips / f"clip{k % 8}.mp4", path)
        rows[part].append([path.stem, 10, k % CLASSES])
    for part, (first, *rest) in rows.items():
        write_csv(folder / f"my_{part}.txt", [str(cell) for cell in first], rest)


def _parts(n: int) -> list[str]:
    """As many as validate are for testing, at any size."""
    return ["test" if k < HELD else "train" for k in range(n)]


RECIPE = {"version": kinetics_sounds.VERSION, "frames": 1, "side": SIDE}
ARRAYS = {
    "audio": ((1, 1024, 128), "<f2"),
    "visual": ((3, SIDE, round(SIDE * 4 / 3)), "|u1"),
}
SHARE = "val_share="
SEEN = ("--modalities", "visual")  # the activations of long spectrograms would hide the rest
KEPT = ("--data-options", "frames=1", f"side={SIDE}")
CLIP = sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in ARRAYS.values())
LAYOUTS = {
    "ave": Layout("ave", make_ave, 10 * 4 * (128 + 7 * 7 * 512)),
    "sparse": Layout(
        "kinetics_sounds",
        make_sparse,
        CLIP,
        None,
        (*KEPT, "size=32", SHARE, *SEEN),
    ),
    "whole": Layout(
        "kinetics_sounds",
        make_whole,
        CLIP,
        KEPT,
        (*KEPT, "size=32", SHARE, *SEEN),
    ),
}
