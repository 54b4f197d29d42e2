"""`ave`: the Audio-Visual Event data set, 28 kinds of events in clips of ten seconds.

Read from the features that its authors publish (https://github.com/YapengTian/AVE-ECCV18; links to
a cloud drive there): `audio_feature.h5` (4143, 10, 128), VGGish; `visual_feature.h5` (4143, 10, 7,
7, 512), VGG-19; `labels.h5` (4143, 10, 29), whose last column is the background; `train_order.h5`,
`val_order.h5`, `test_order.h5`; and `Annotations.txt`. Prepared once by `python -m msam_lib prepare
ave --source FOLDER`, a clip at a time. The visual features are averaged over the 7x7 places.

Two tasks go by this name. `unit="clip"`: the event of a clip, 28 classes, from both sequences of
ten steps, as the papers on modality dominance do (on their own pictures and spectrograms, not on
these features). `unit="segment"`: every second for itself, 28 events and the background; the
authors' network reads the ten seconds together.

The published lists share videos: some ids occur twice, a few in two parts. By default each id is
kept once, in the test part first, then validation, then training; `duplicates=True` keeps the lists
as they are. No licence is stated; the clips are from YouTube.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._hdf5 import Hdf5
from msam_lib.data._parts import named_parts, need_classes, sequence, stored_parts
from msam_lib.data._tabular import PARTS
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.media import content
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetCorrupt, DatasetMissing, unknown_name

KEYS = ("avadataset", "order")  # of features and labels; of the lists
SEGMENTS, EVENTS = 10, 28
SIZES = {"audio": (128,), "visual": (7, 7, 512)}
COUNTS = {"train": 3339, "val": 402, "test": 402}  # clips of the complete lists
UNITS = ("clip", "segment")
BACKGROUND = "background"
BLOCK = 256  # clips whose labels are read at once
VERSION = 1  # of the recipe: raised when the same options would give other arrays


def prepare(
    source: Path,
    cache: Path | None = None,
    *,
    jobs: int = 1,
    unit: str = "clip",
    duplicates: bool = False,
) -> Prepared:
    """Read the published features once, to float16.

    Args:
        source: the folder with the .h5 files, and `Annotations.txt` there or in `data`.
        cache: see `msam_lib.data.prepared`.
        jobs: threads.
        unit: `"clip"` or `"segment"`.
        duplicates: keep videos that occur several times.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: naming the first file that is missing or damaged.
    """
    recipe = _recipe(unit, duplicates)
    files = {m: Hdf5(source / f"{m}_feature.h5") for m in SIZES}
    clips = _clips(source, duplicates)
    total = len(Hdf5(source / "labels.h5").array(KEYS[0]))
    for m, size in SIZES.items():
        if (shape := files[m].array(KEYS[0]).shape) != (total, SEGMENTS, *size):
            raise DatasetCorrupt(
                f"{files[m].path} has shape {shape}; expected is {(total, SEGMENTS, *size)}, with "
                f"as many clips as labels.h5."
            )
    rows = clips if unit == "clip" else _segments(source, clips)
    steps = SEGMENTS if unit == "clip" else 1

    def read(row: Row) -> Mapping[str, np.ndarray]:
        clip = int(row["clip"])
        which = (
            slice(None) if unit == "clip" else slice(int(row["segment"]), int(row["segment"]) + 1)
        )
        audio = files["audio"].read(KEYS[0], (clip, which))
        visual = files["visual"].read(KEYS[0], (clip, which)).mean((1, 2))
        found = {"audio": sequence(audio, steps), "visual": sequence(visual, steps)}
        return found if unit == "clip" else {m: x[0] for m, x in found.items()}

    shapes = {m: (SEGMENTS, size[-1]) if unit == "clip" else size[-1:] for m, size in SIZES.items()}
    arrays = {m: (shape, "<f2") for m, shape in shapes.items()}
    return write_prepared(Plan("ave", recipe, rows, arrays, read), cache, jobs=jobs)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    unit: str = "clip",
    duplicates: bool = False,
) -> DataSplits:
    """AVE as prepared: sequences audio (10, 128) and visual (10, 512), 28 classes; of
    `unit="segment"` vectors (128) and (512), 29 classes.

    Args:
        seed: without effect; the parts are the published ones.
        modalities: from "audio" and "visual", both by default.
        unit, duplicates: as prepared.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, or a part lacks a class.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, list(SIZES))
    recipe = _recipe(unit, duplicates)
    done = open_prepared("ave", recipe, prepare, unit=unit, duplicates=duplicates)
    events = sorted({s["label"] for s in done.samples} - {BACKGROUND})
    classes = events if unit == "clip" else [*events, BACKGROUND]
    labels = [classes.index(s["label"]) for s in done.samples]
    where = named_parts(done.samples)
    need_classes("AVE", classes, labels, where)
    parts = stored_parts(done, names, torch.tensor(labels), where)
    kind = "sequence" if unit == "clip" else "vector"
    return DataSplits(
        name="ave",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality(kind, parts["train"].inputs[m].shape[1:]) for m in names},
        classes=tuple(classes),
        provenance=(
            "AVE (real; Tian et al., ECCV 2018; no licence stated), features as published by its "
            f"authors: {len(labels)} {unit}s of {len({s['id'] for s in done.samples})} videos in "
            f"parts of {', '.join(str(len(where[p])) for p in PARTS)}; videos that occur several "
            f"times are {'kept' if duplicates else 'kept once, in the test part first'}."
        ),
        recipe=recipe | {"modalities": names},
    )


def _recipe(unit: str, duplicates: bool) -> dict[str, Any]:
    """The options that determine the prepared arrays."""
    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)
    return {"version": VERSION, "unit": unit, "duplicates": bool(duplicates)}


def _clips(source: Path, duplicates: bool) -> list[Row]:
    """A row per clip: part, clip (its row in the files), id of the video, label (the event).

    The event is that of `Annotations.txt`, after the lists, the labels and it were found to agree:
    each event must always have the same column of the labels.
    """
    labels = _labels(source)
    named = _annotations(source, len(labels.event))
    columns: dict[str, int] = {}
    rows, seen = [], set()
    for part in reversed(PARTS):  # the test part keeps what it shares with another
        path = source / f"{part}_order.h5"
        order = Hdf5(path).read(KEYS[1]).ravel().tolist()
        if len(named) == sum(COUNTS.values()) and len(order) != COUNTS[part]:
            raise DatasetCorrupt(f"{path} lists {len(order)} clips; expected are {COUNTS[part]}.")
        for clip in order:
            if not 0 <= clip < len(named):
                raise DatasetCorrupt(f"{path} names clip {clip} of {len(named)}.")
            event, video = named[clip]
            column = int(labels.event[clip])
            if columns.setdefault(event, column) != column or not labels.heard[clip]:
                raise DatasetCorrupt(
                    f"Clip {clip} is a {event!r} in Annotations.txt, but another event in "
                    f"labels.h5: the files in {source} do not belong together."
                )
            if duplicates or video not in seen:
                seen.add(video)
                rows.append({"part": part, "clip": str(clip), "id": video, "label": event})
    if len(set(columns.values())) != len(columns):
        raise DatasetCorrupt(
            f"Two events of Annotations.txt have the same column in labels.h5: the files in "
            f"{source} do not belong together."
        )
    return rows


class _Labels(NamedTuple):
    """Of every clip: its event's column, whether the event occurs at all, and its silent seconds.

    Args:
        event: (N,).
        heard: (N,) booleans.
        silent: (N, 10) booleans.
    """

    event: np.ndarray
    heard: np.ndarray
    silent: np.ndarray


def _labels(source: Path) -> _Labels:
    """What is needed of `labels.h5`, read some clips at a time: a clip's labels take 2 KB."""
    file = Hdf5(source / "labels.h5")
    shape = file.array(KEYS[0]).shape
    if len(shape) != 3 or shape[1:] != (SEGMENTS, EVENTS + 1):
        raise DatasetCorrupt(
            f"{file.path} has shape {shape}; expected is (N, {SEGMENTS}, {EVENTS + 1})."
        )
    parts = []
    for start in range(0, max(1, shape[0]), BLOCK):
        block = file.read(KEYS[0], slice(start, start + BLOCK))  # (B, 10, 29)
        events = block[:, :, :EVENTS]
        column = events.sum(1).argmax(1)
        heard = np.any(events[np.arange(len(block)), :, column], axis=1)
        parts.append(_Labels(column, heard, block[:, :, EVENTS] > 0))
    return _Labels(*map(np.concatenate, zip(*parts, strict=True)))


def _annotations(source: Path, count: int) -> list[tuple[str, str]]:
    """(event, video) of every clip."""
    for path in (source / "Annotations.txt", source / "data" / "Annotations.txt"):
        if path.is_file():
            break
    else:
        raise DatasetMissing(
            f"{source / 'Annotations.txt'} is not there, and not in {source / 'data'}. It is in "
            "https://github.com/YapengTian/AVE-ECCV18."
        )
    lines = [x.split("&") for x in content(path).decode("utf-8", "replace").splitlines() if x]
    lines = lines[1:] if lines and lines[0][0] == "Category" else lines
    if len(lines) != count or any(len(line) != 5 for line in lines):
        raise DatasetCorrupt(
            f"{path} has {len(lines)} lines; expected are {count}, as in labels.h5, of the form "
            "Category&VideoID&Quality&StartTime&EndTime."
        )
    return [(line[0], line[1]) for line in lines]


def _segments(source: Path, clips: Sequence[Row]) -> list[Row]:
    """A row per second of these clips: theirs, with the segment and its own label."""
    silent_of = _labels(source).silent
    return [
        row | {"segment": str(k), "label": BACKGROUND if silent else row["label"]}
        for row in clips
        for k, silent in enumerate(silent_of[int(row["clip"])])
    ]
