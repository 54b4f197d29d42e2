"""`kinetics_sounds`: clips of Kinetics-400 whose kind of action can be seen and heard.

No archive exists, and which classes belong to it differs between papers. Read are the lists of
OGM-GE (https://github.com/GeWu-Lab/OGM-GE_CVPR2022, data/KineticSound): `my_train.txt` and
`my_test.txt`, with lines `CLIP,10,CLASS`, 31 classes that are numbers without names. Fetch the
clips yourself; they are from YouTube, and some are gone. What is found under the source folder, in
whatever folders, is taken, by its name:

    CLIP.mp4 (or .webm, .mkv, .avi), or a folder CLIP with frame_00001.jpg, ... (one per second) and
    CLIP.wav

Clips that are not there are left out and counted; a clip that cannot be decoded is named, and left
out once you delete it. Prepared once by `python -m msam_lib prepare kinetics_sounds --source
FOLDER`.

Preprocessing as in the code of OGM-GE: audio as filter banks of Kaldi, 128 bands every 10 ms at the
file's own rate, cut or padded with zeros to 1,024 steps, then (x + 4.503877) / (2 * 5.141276);
pictures: one per second, the first three, cut out and mirrored at random in training. They are kept
at `side` pixels of height with proportions 4:3. Validation clips are drawn from the training list.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count, Range
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._fbank import fbank
from msam_lib.data._parts import need_classes, pictures, stored_parts, with_validation
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.media import (
    SOUND,
    VIDEO,
    content,
    read_frames,
    read_image,
    read_sound,
    read_track,
)
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError

LISTS = {"train": "my_train.txt", "test": "my_test.txt"}
STEPS, BANDS = 1024, 128
MEAN, STD = -4.503877, 5.141276
VERSION = 1  # of the recipe: raised when the same options would give other arrays


def prepare(
    source: Path,
    cache: Path | None = None,
    *,
    jobs: int = 1,
    frames: int = 3,
    side: int = 256,
) -> Prepared:
    """Decode the clips that are there once.

    Args:
        source: the folder with the two lists, and with the clips in any folders below it.
        cache: see `msam_lib.data.prepared`.
        jobs: threads that decode.
        frames: of every clip, one per second.
        side: height in pixels at which frames are kept.

    Raises:
        DatasetMissing: a list, or all clips, are missing.
        DatasetCorrupt: naming the first line or file that is damaged.
    """
    recipe = _recipe(frames, side)
    listed = [row for part in LISTS for row in _listed(source, part)]
    found = _found(source)
    rows = [row for row in listed if _complete(found.get(row["name"], {}))]
    if not rows:
        raise DatasetMissing(
            f"None of the {len(listed)} listed clips is under {source}, such as "
            f"{listed[0]['name'] if listed else 'any'}.mp4."
        )
    for row in rows:
        row["listed"] = str(len(listed))
    height, width = side, round(side * 4 / 3)

    def read(row: Row) -> Mapping[str, np.ndarray]:
        there = found[row["name"]]
        if "video" in there:
            pictures = read_frames(there["video"], frames, height, width)
        else:
            paths = sorted(there["frames"].glob("frame_*.jpg"))[:frames]
            paths += [paths[-1]] * (frames - len(paths))
            pictures = np.stack([read_image(path, height, width) for path in paths])
        sound = read_sound(there["sound"]) if "sound" in there else read_track(there["video"])
        return {"audio": spectrogram(*sound), "visual": pictures[0] if frames == 1 else pictures}

    shape = (3, height, width) if frames == 1 else (frames, 3, height, width)
    arrays = {"audio": ((1, STEPS, BANDS), "<f2"), "visual": (shape, "|u1")}
    return write_prepared(Plan("kinetics_sounds", recipe, rows, arrays, read), cache, jobs=jobs)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    val_share: Annotated[float, Range(above=0, below=1)] = 0.1,
    frames: Count = 3,
    side: Count = 256,
    size: Count = 224,
) -> DataSplits:
    """Kinetics-Sounds as prepared: audio (1, 1024, 128), visual (frames, 3, size, size), or (3,
    size, size) for one frame; 31 classes.

    Args:
        seed: draws the validation clips.
        modalities: from "audio" and "visual", both by default.
        val_share: share in (0, 1) of the training clips that validate.
        frames, side: as prepared.
        size: pixels of a side of the frames.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, or a part lacks a class.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, ["audio", "visual"])
    recipe = _recipe(frames, side)
    done = open_prepared("kinetics_sounds", recipe, prepare, frames=frames, side=side)
    numbers = sorted({int(s["label"]) for s in done.samples})
    labels = [numbers.index(int(s["label"])) for s in done.samples]
    classes = tuple(f"class {c}" for c in numbers)
    where = with_validation(done.samples, labels, val_share, seed)
    need_classes("Kinetics-Sounds", classes, labels, where)
    parts = stored_parts(done, names, torch.tensor(labels), where, pictures(size))
    kinds = {"audio": "spectrogram", "visual": "image" if frames == 1 else "video"}
    return DataSplits(
        name="kinetics_sounds",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality(kinds[m], parts["train"].inputs[m].shape[1:]) for m in names},
        classes=classes,
        provenance=(
            "Kinetics-Sounds (real; Arandjelović and Zisserman, ICCV 2017; clips from YouTube), "
            f"lists of OGM-GE: {len(labels)} of {done.samples[0]['listed']} listed clips, "
            "validation clips from the training list."
        ),
        recipe=recipe | {"seed": seed, "val_share": val_share, "size": size, "modalities": names},
    )


def spectrogram(sound: np.ndarray, rate: int) -> np.ndarray:
    """The normalised filter banks (1, 1024, 128) of a sound (S,) at a rate in Hz."""
    x = fbank(sound, rate, BANDS)[:STEPS]
    out = np.zeros((1, STEPS, BANDS), np.float32)
    out[0, : len(x)] = x
    return (out - MEAN) / (2 * STD)


def _recipe(frames: int, side: int) -> dict[str, Any]:
    """The options that determine the prepared arrays."""
    for name, value in {"frames": frames, "side": side}.items():
        if value < 1:
            raise MsamError(f"{name}={value}; it must be at least 1.")
    return {"version": VERSION, "frames": frames, "side": side}


def _listed(source: Path, part: str) -> list[Row]:
    """A row per line of a list: part, name, label."""
    path = source / LISTS[part]
    if not path.is_file():
        raise DatasetMissing(
            f"{path} is not there. It is in https://github.com/GeWu-Lab/OGM-GE_CVPR2022, in "
            "data/KineticSound."
        )
    rows = []
    for number, cells in enumerate(csv.reader(io.StringIO(content(path).decode("utf-8-sig"))), 1):
        if len(cells) != 3 or not cells[2].strip().isdigit():
            raise DatasetCorrupt(f"{path}, line {number}: {cells}; expected is CLIP,10,CLASS.")
        rows.append({"part": part, "name": cells[0].strip(), "label": cells[2].strip()})
    return rows


def _found(source: Path) -> dict[str, dict[str, Path]]:
    """{clip: {video, sound, frames: its path}} of all files below the folder."""
    out: dict[str, dict[str, Path]] = {}
    for path in sorted(source.rglob("*")):
        ending = path.suffix.lower()
        if ending in VIDEO:
            out.setdefault(path.stem, {})["video"] = path
        elif ending in SOUND:
            out.setdefault(path.stem, {})["sound"] = path
        elif ending == ".jpg" and path.name.startswith("frame_"):
            out.setdefault(path.parent.name, {})["frames"] = path.parent
    return out


def _complete(there: Mapping[str, Path]) -> bool:
    """Whether a clip has pictures and sound."""
    return "video" in there or {"frames", "sound"} <= set(there)
