"""`cremad`: CREMA-D, 7,442 clips of 91 actors who speak twelve sentences in six emotions.

Read from the official distribution, prepared once (`python -m msam_lib prepare cremad --source
FOLDER`). Preprocessing as in the code of OGM-GE and AGM:

* audio: 22,050 Hz, repeated three times and cut to 3 s, log(\\|STFT\\| + 1e-7) with 512 samples per
  frame and a hop of 353: (1, 257, 188). Resampled by `scipy.signal.resample_poly`, where theirs is
  librosa's.
* visual: one frame per second, the first `frames` of them. Training: a random piece resized to
  `size` and mirrored; evaluation: the whole frame resized. Frames are kept at `side` pixels of
  height with proportions 4:3, where theirs are cut out of the full picture (480x360).

`split="ogm"` is the published split, 6,698 training and 744 test clips, in which all actors are on
both sides; `split="actor"` shares no speaker between the parts (18 actors test). Validation clips
always come from the training part, where much published code selects by the test clips: expect
results some points below published ones. The class is the acted emotion; `DataSplits.people` has
how often the majority of human raters named it, from voice, face, and both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Choice, Count, Range
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._audio import resample
from msam_lib.data._cremad_source import (
    ALL,
    EMOTIONS,
    KNOWN_BAD,
    VOTES,
    check_digest,
    clips,
    media_path,
    published_digests,
    test_clips,
)
from msam_lib.data._parts import pictures, stored_parts
from msam_lib.data._tabular import PARTS, stratified
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.media import read_frames, read_sound
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetCorrupt, MsamError

RATE, SECONDS, WINDOW, HOP = 22_050, 3, 512, 353
SPECTROGRAM = (1, WINDOW // 2 + 1, SECONDS * RATE // HOP + 1)  # (1, 257, 188)
VERSION = 1  # of the recipe: raised when the same options would give other arrays


def prepare(
    source: Path,
    cache: Path | None = None,
    *,
    jobs: int = 1,
    frames: int = 1,
    side: int = 256,
) -> Prepared:
    """Decode the official distribution once.

    Args:
        source: the distribution's folder, with AudioWAV, VideoFlash and SentenceFilenames.csv.
        cache: see `msam_lib.data.prepared`.
        jobs: threads that decode.
        frames: of every clip, one per second.
        side: height in pixels at which frames are kept.

    Raises:
        DatasetMissing, DatasetCorrupt: naming the first file that is missing or damaged.
    """
    recipe = _recipe(frames, side)
    rows = clips(source)
    digests = published_digests() if len(rows) == ALL else {}
    height, width = side, round(side * 4 / 3)

    def read(row: Row) -> Mapping[str, np.ndarray]:
        name, replaced = row["name"], 0
        paths = {m: media_path(source, m, name) for m in ("audio", "visual")}
        for path in paths.values():
            check_digest(path, digests)
        try:
            sound, rate = read_sound(paths["audio"])
        except DatasetCorrupt:
            if name not in KNOWN_BAD:
                raise
            sound, rate, replaced = np.zeros(1, np.float32), RATE, 1
        try:
            pictures = read_frames(paths["visual"], frames, height, width)
        except DatasetCorrupt:
            if name not in KNOWN_BAD:
                raise
            pictures, replaced = np.full((frames, 3, height, width), 128, np.uint8), replaced + 2
        return {
            "audio": spectrogram(sound, rate),
            "visual": pictures[0] if frames == 1 else pictures,
            "replaced": np.array(replaced, np.uint8),
        }

    pictures = (3, height, width) if frames == 1 else (frames, 3, height, width)
    arrays = {"audio": (SPECTROGRAM, "<f2"), "visual": (pictures, "|u1"), "replaced": ((), "|u1")}
    return write_prepared(Plan("cremad", recipe, rows, arrays, read), cache, jobs=jobs)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    split: Annotated[str, Choice(("ogm", "actor"))] = "ogm",
    val_share: Annotated[float, Range(above=0, below=1)] = 0.1,
    frames: Count = 1,
    side: Count = 256,
    size: Count = 224,
    drop_bad: bool = False,
) -> DataSplits:
    """CREMA-D as prepared: audio (1, 257, 188), visual (3, size, size), or (frames, 3, size, size)
    for several frames; six classes.

    Args:
        seed: draws the validation clips, and for `split="actor"` the actors.
        modalities: from "audio" and "visual", both by default.
        split: `"ogm"`, or `"actor"` for parts that share no speaker.
        val_share: share in (0, 1) of the training part's clips (of its actors, in `"actor"`) that
            validate.
        frames, side: as prepared.
        size: pixels of a side of the frames.
        drop_bad: leave out the four clips that the distribution names as damaged.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, or a part lacks a class.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, ["audio", "visual"])
    recipe = _recipe(frames, side)
    prepared = open_prepared("cremad", recipe, prepare, frames=frames, side=side)
    rows = split_clips(prepared.samples, split, val_share, seed, drop_bad)
    codes = list(EMOTIONS)
    targets = torch.tensor([codes.index(s["label"]) for s in prepared.samples])
    parts = stored_parts(prepared, names, targets, rows, pictures(size))
    kinds = {"audio": "spectrogram", "visual": "image" if frames == 1 else "video"}
    replaced = int((np.load(prepared.folder / "replaced.npy") > 0).sum())
    return DataSplits(
        name="cremad",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality(kinds[m], parts["train"].inputs[m].shape[1:]) for m in names},
        classes=tuple(word for word, _ in EMOTIONS.values()),
        provenance=(
            f"CREMA-D (real; Cao et al., IEEE Transactions on Affective Computing 2014; Open "
            f"Database License 1.0): {len(prepared.samples)} clips, split {split}, validation "
            f"clips from the training part. {replaced} of the clips that the distribution names "
            "as damaged could not be decoded and are silent or grey."
        ),
        recipe=recipe
        | {"seed": seed, "split": split, "val_share": val_share, "size": size}
        | {"drop_bad": drop_bad, "modalities": names},
        people=people([prepared.samples[i] for i in rows["test"]]),
    )


def spectrogram(sound: np.ndarray, rate: int) -> np.ndarray:
    """Log-magnitudes (1, 257, 188) of 3 s at 22,050 Hz of a sound (S,), repeated to fill them.

    Args:
        sound: (S,), S at least 1; cut to [-1, 1].
        rate: Hz.
    """
    wave = resample(sound, rate, RATE)
    length = RATE * SECONDS
    wave = np.tile(wave, max(3, -(-length // len(wave))))[:length].clip(-1, 1)
    window = torch.hann_window(WINDOW)
    transform = torch.stft(
        torch.from_numpy(wave), WINDOW, HOP, window=window, pad_mode="constant", return_complex=True
    )
    return (transform.abs() + 1e-7).log()[None].numpy()


def split_clips(
    samples: Sequence[Row], split: str, val_share: float, seed: int, drop_bad: bool = False
) -> dict[str, np.ndarray]:
    """{part: sorted numbers of its clips}; the parts share no clip, in `"actor"` no speaker.

    Args:
        samples: rows with name, label and actor.
        split, val_share, seed, drop_bad: see `load`.

    Raises:
        DatasetCorrupt: a part has no clip of some class.
    """
    usable = np.array([not (drop_bad and s["name"] in KNOWN_BAD) for s in samples])
    labels = np.array([s["label"] for s in samples])
    if split == "ogm":
        published = test_clips()
        test = np.array([s["name"] in published for s in samples])
        rest = np.flatnonzero(usable & ~test)
        fit, held = stratified(labels[rest], [1 - val_share, val_share], seed)
        parts = {"train": rest[fit], "val": rest[held], "test": np.flatnonzero(usable & test)}
    else:
        actors = np.array([s["actor"] for s in samples])
        drawn = np.random.default_rng(seed).permutation(np.unique(actors))
        n_test = max(1, round(0.2 * len(drawn)))
        n_val = max(1, round(val_share * (len(drawn) - n_test)))
        who = {"test": drawn[:n_test], "val": drawn[n_test : n_test + n_val]}
        who["train"] = drawn[n_test + n_val :]
        parts = {p: np.flatnonzero(usable & np.isin(actors, who[p])) for p in PARTS}
    for name, rows in parts.items():
        if missing := [code for code in EMOTIONS if code not in labels[rows]]:
            raise DatasetCorrupt(
                f"The {name} part of split={split!r} has no clip of {', '.join(missing)} among its "
                f"{len(rows)}: the distribution of {len(samples)} clips is incomplete. Prepare the "
                "complete one, or try another split or seed."
            )
    return parts


def people(samples: Sequence[Row]) -> dict[str, float]:
    """{modality: share in [0, 1] of the clips whose acted emotion most raters named}, from the
    voice alone, the face alone, and (`"fused"`) both; a tie of k emotions counts 1/k.
    """
    out = {}
    for m in VOTES:
        voted = [(s[m].split(":"), EMOTIONS[s["label"]][1]) for s in samples if s.get(m)]
        if voted:
            out[m] = sum((letter in v) / len(v) for v, letter in voted) / len(voted)
    return out


def _recipe(frames: int, side: int) -> dict[str, int]:
    """The options that determine the prepared arrays."""
    for name, value in {"frames": frames, "side": side}.items():
        if value < 1:
            raise MsamError(f"{name}={value}; it must be at least 1.")
    return {"version": VERSION, "frames": frames, "side": side}
