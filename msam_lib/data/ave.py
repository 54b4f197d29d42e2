"""`ave`: the Audio-Visual Event data set, 28 kinds of events in clips of ten seconds.

Read from the features that its authors publish (https://github.com/YapengTian/AVE-ECCV18; links to
a cloud drive there): `audio_feature.h5` (4143, 10, 128), VGGish; `visual_feature.h5` (4143, 10, 7,
7, 512), VGG-19; `labels.h5` (4143, 10, 29), whose last column is the background; `train_order.h5`,
`val_order.h5`, `test_order.h5`; and `Annotations.txt`. Prepared once by `python -m msam_lib prepare
ave --source FOLDER`, a clip at a time. The visual features are averaged over the 7x7 places, or
kept as maps with `regions=True` (2 GB).

Two tasks go by this name. The authors' own: the class of each of the ten seconds, 28 events and the
background, from all ten together, measured as the accuracy over all seconds: `unit="sequence"`;
with `regions=True` and fusion `guided` their network. Their `supervised_main.py` trains it with
Adam, a learning rate of 1e-3 and batches of 64, measures the test part every fifth epoch and keeps
the best, so that its numbers are chosen on what they are measured on. And the event of a clip, 28
classes: `unit="clip"`, as the papers on modality dominance do (on their own pictures and
spectrograms, not on these features). `unit="segment"` makes every second a sample of its own.

The published lists share videos: some ids occur twice, a few in two parts. By default each id is
kept once, in the test part first, then validation, then training; `duplicates=True` keeps the lists
as they are. No licence is stated; the clips are from YouTube.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._ave_labels import KEY, SEGMENTS, read_labels
from msam_lib.data._hdf5 import Hdf5
from msam_lib.data._parts import named_parts, need_classes, sequence, stored_parts
from msam_lib.data._tabular import PARTS
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.media import content
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetCorrupt, DatasetMissing, unknown_name
from msam_lib.tasks import SegmentClassification

ORDER = "order"  # the key of the lists
SIZES = {"audio": (128,), "visual": (7, 7, 512)}
COUNTS = {"train": 3339, "val": 402, "test": 402}  # clips of the complete lists
UNITS = ("clip", "segment", "sequence")
BACKGROUND = "background"
VERSION = 2  # of the recipe: raised when the same options would give other arrays


def prepare(
    source: Path,
    cache: Path | None = None,
    *,
    jobs: int = 1,
    unit: str = "clip",
    regions: bool = False,
    duplicates: bool = False,
) -> Prepared:
    """Read the published features once, to float16.

    Args:
        source: the folder with the .h5 files, and `Annotations.txt` there or in `data`.
        cache: see `msam_lib.data.prepared`.
        jobs: threads.
        unit: `"clip"` or `"segment"`; `"sequence"` reads what is prepared for `"clip"`.
        regions: keep the 7x7 places of the visual features.
        duplicates: keep videos that occur several times.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: naming the first file that is missing or damaged.
    """
    recipe = _recipe(unit, regions, duplicates)
    files = {m: Hdf5(source / f"{m}_feature.h5") for m in SIZES}
    clips = _clips(source, duplicates)
    total = len(Hdf5(source / "labels.h5").array(KEY))
    for m, size in SIZES.items():
        if (shape := files[m].array(KEY).shape) != (total, SEGMENTS, *size):
            raise DatasetCorrupt(
                f"{files[m].path} has shape {shape}; expected is {(total, SEGMENTS, *size)}, with "
                f"as many clips as labels.h5."
            )
    alone = unit == "segment"
    rows, steps = (_segments(clips), 1) if alone else (clips, SEGMENTS)
    shapes = _shapes(alone, regions)
    arrays = {m: (shape, "<f2") for m, shape in shapes.items()}

    def read(row: Row) -> Mapping[str, np.ndarray]:
        clip, first = int(row["clip"]), int(row.get("segment", 0))
        which = slice(first, first + steps)
        audio = files["audio"].read(KEY, (clip, which))
        visual = files["visual"].read(KEY, (clip, which))
        visual = visual.transpose(0, 3, 1, 2) if regions else visual.mean((1, 2))
        flat = {"audio": audio, "visual": visual.reshape(steps, -1)}
        return {m: sequence(x, steps).reshape(shapes[m]) for m, x in flat.items()}

    return write_prepared(Plan("ave", recipe, rows, arrays, read), cache, jobs=jobs)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    unit: str = "clip",
    regions: bool = False,
    duplicates: bool = False,
) -> DataSplits:
    """AVE as prepared: sequences audio (10, 128) and visual (10, 512), 28 classes; of
    `unit="sequence"` 29 classes for each of the ten seconds, targets (N, 10); of `unit="segment"`
    vectors (128) and (512), 29 classes.

    Args:
        seed: without effect; the parts are the published ones.
        modalities: from "audio" and "visual", both by default.
        unit, duplicates: as prepared.
        regions: as prepared; visual maps (10, 512, 7, 7), of a segment (512, 7, 7).

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, or a part lacks a class.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, list(SIZES))
    recipe = _recipe(unit, regions, duplicates)
    options = {"unit": recipe["unit"], "regions": regions, "duplicates": duplicates}
    done = open_prepared("ave", recipe, prepare, **options)
    events = sorted({s["label"] for s in done.samples} - {BACKGROUND})
    classes = events if unit == "clip" else [*events, BACKGROUND]
    labels = [classes.index(s["label"]) for s in done.samples]
    where = named_parts(done.samples)
    need_classes("AVE", classes if unit == "segment" else events, labels, where)
    targets = torch.tensor(labels)
    if unit == "sequence":
        silent = torch.tensor([[c == "1" for c in s["silent"]] for s in done.samples])
        targets = torch.where(silent, len(events), targets[:, None])
    parts = stored_parts(done, names, targets, where)
    alone = unit == "segment"
    kinds = {"audio": "vector" if alone else "sequence"}
    kinds["visual"] = ("image" if alone else "video") if regions else kinds["audio"]
    return DataSplits(
        name="ave",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality(kinds[m], _shapes(alone, regions)[m]) for m in names},
        classes=tuple(classes),
        provenance=(
            "AVE (real; Tian et al., ECCV 2018; no licence stated), features as published by its "
            f"authors: {len(labels)} {'segment' if alone else 'clip'}s of "
            f"{len({s['id'] for s in done.samples})} videos in parts of "
            f"{', '.join(str(len(where[p])) for p in PARTS)}; videos that occur several times are "
            f"{'kept' if duplicates else 'kept once, in the test part first'}."
        ),
        recipe=recipe | {"unit": unit, "modalities": names},
        other_task=SegmentClassification(len(classes), SEGMENTS) if unit == "sequence" else None,
    )


def _recipe(unit: str, regions: bool, duplicates: bool) -> dict[str, Any]:
    """The options that determine the prepared arrays."""
    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)
    stored = "segment" if unit == "segment" else "clip"
    recipe = {"version": VERSION, "unit": stored, "duplicates": bool(duplicates)}
    return recipe | ({"regions": True} if regions else {})


def _shapes(alone: bool, regions: bool) -> dict[str, tuple[int, ...]]:
    """{modality: shape of a sample}, of a segment alone or of a clip."""
    audio, visual = SIZES["audio"], SIZES["visual"]
    one = {"audio": audio, "visual": (visual[-1], *visual[:-1]) if regions else visual[-1:]}
    return one if alone else {m: (SEGMENTS, *shape) for m, shape in one.items()}


def _clips(source: Path, duplicates: bool) -> list[Row]:
    """A row per clip: part, clip (its row in the files), id of the video, label (the event), silent
    (a digit per segment, 1 where it is background).

    The event is that of `Annotations.txt`, after the lists, the labels and it were found to agree:
    each event must always have the same column of the labels.
    """
    labels = read_labels(source)
    named = _annotations(source, len(labels.event))
    columns: dict[str, int] = {}
    rows, seen = [], set()
    for part in reversed(PARTS):  # the test part keeps what it shares with another
        path = source / f"{part}_order.h5"
        order = Hdf5(path).read(ORDER).ravel().tolist()
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
                row = {"part": part, "clip": str(clip), "id": video, "label": event}
                rows.append(row | {"silent": "".join(str(int(x)) for x in labels.silent[clip])})
    if len(set(columns.values())) != len(columns):
        raise DatasetCorrupt(
            f"Two events of Annotations.txt have the same column in labels.h5: the files in "
            f"{source} do not belong together."
        )
    return rows


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


def _segments(clips: Sequence[Row]) -> list[Row]:
    """A row per second of these clips: theirs, with the segment and its own label."""
    return [
        row | {"segment": str(k), "label": BACKGROUND if digit == "1" else row["label"]}
        for row in clips
        for k, digit in enumerate(row["silent"])
    ]
