"""Make the embedded files of the data set `avmnist_mini` from the real data.

    MSAM_DATA=... python tools/make_avmnist_mini.py            # writes the embedded files
    MSAM_DATA=... python tools/make_avmnist_mini.py --check    # makes them again, compares arrays

Reads MNIST, the Free Spoken Digit Dataset and the background noise of Speech Commands, verified by
their digests (without MSAM_DATA they are downloaded). Every image, recording and noise comes from
the same split of `avmnist`. The images of each class are drawn from one seed; recordings and noise
are fixed by the constants below. Nothing is degraded here: the loader does that.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from msam_lib.data import avmnist
from msam_lib.data._audio import mu_law
from msam_lib.data._avmnist_recipe import RATE
from msam_lib.data._avmnist_sources import NOISE, SOURCES
from msam_lib.data._download import read_members
from msam_lib.data.avmnist_mini import COUNTS, FOLDER, NOISE_SECONDS
from tools.embedded_files import digests, save_npz

SEED = 2510
# Of each speaker's 50 takes of a digit: 9 train, 2 validate, 4 test, as in `avmnist`.
KEPT = {"train": range(10, 19), "val": range(5, 7), "test": range(4)}
FILES = ("images", "speech", "noise")


def images() -> dict[str, np.ndarray]:
    """Pixels (N, 28, 28), labels (N,) and numbers in MNIST (N,); as many of each class, in the
    order of their numbers.
    """
    pixels, labels = avmnist.read_images()
    rng, chosen, start = np.random.default_rng(SEED), [], 0
    for part, total in avmnist.COUNTS.items():
        here = labels[start : start + total]
        each = COUNTS[part] // 10
        rows = [rng.choice(np.flatnonzero(here == d), each, replace=False) for d in range(10)]
        chosen.append(start + np.sort(np.concatenate(rows)))
        start += total
    numbers = np.concatenate(chosen).astype(np.int32)
    grey = np.round(255 * pixels[numbers]).astype(np.uint8).reshape(-1, 28, 28)
    return {"pixels": grey, "labels": labels[numbers].astype(np.uint8), "numbers": numbers}


def speech() -> dict[str, np.ndarray]:
    """All recordings as one row of codes, relative to each one's peak, and who says what."""
    kept = {take for takes in KEPT.values() for take in takes}
    recordings = {k: w for k, w in sorted(avmnist.read_recordings().items()) if k[1] in kept}
    peaks = np.array([np.abs(w).max() for w in recordings.values()], dtype=np.float32)
    waves = [mu_law(w / p) for w, p in zip(recordings.values(), peaks, strict=True)]
    speakers, takes, digits = zip(*recordings, strict=True)
    return {
        "codes": np.concatenate(waves),
        "lengths": np.array([len(w) for w in waves], dtype=np.int32),
        "peaks": peaks,
        "speakers": np.array(speakers),
        "takes": np.array(takes, dtype=np.uint8),
        "digits": np.array(digits, dtype=np.uint8),
    }


def noise() -> dict[str, np.ndarray]:
    """Of every noise the beginning of each split's piece, one after the other: codes (6, S)."""
    waves = [
        np.concatenate([avmnist.noise_part(x, p)[: s * RATE] for p, s in NOISE_SECONDS.items()])
        for x in avmnist.read_noises()
    ]
    peaks = np.array([np.abs(w).max() for w in waves], dtype=np.float32)
    codes = [mu_law(w / p) for w, p in zip(waves, peaks, strict=True)]
    names = [Path(name).stem for name in read_members(NOISE)]
    return {"codes": np.stack(codes), "peaks": peaks, "names": np.array(names)}


def make(folder: Path) -> None:
    """Write images.npz, speech.npz, noise.npz and provenance.json to `folder`."""
    folder.mkdir(exist_ok=True)
    for name, arrays in zip(FILES, (images(), speech(), noise()), strict=True):
        save_npz(folder / f"{name}.npz", **arrays)
    facts = {
        "made_by": "tools/make_avmnist_mini.py",
        "seed": SEED,
        "images": "MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0)",
        "speech": "Free Spoken Digit Dataset 1.0.10 (Jackson and others; CC BY-SA 4.0)",
        "noise": "Speech Commands 0.02, background noise (Warden, Google; CC BY 4.0)",
        "changes": "subsets; sound resampled to 8 kHz (noise) and stored as 8-bit mu-law codes",
        "rate_hz": RATE,
        "images_by_split": COUNTS,
        "takes_by_split": {part: list(takes) for part, takes in KEPT.items()},
        "noise_seconds_by_split": NOISE_SECONDS,
        "sources": {
            source.path: {"url": source.url, "sha256": source.members_sha256 or source.sha256}
            for source in SOURCES.values()
        },
        "sha256": digests(folder, folder.glob("*.npz")),
    }
    (folder / "provenance.json").write_text(json.dumps(facts, indent=1) + "\n")


def differences(folder: Path) -> list[str]:
    """The arrays in which the files of `folder` differ from the embedded ones; whatever version of
    zlib packed them.
    """
    out = []
    for name in FILES:
        with np.load(folder / f"{name}.npz") as new, np.load(FOLDER / f"{name}.npz") as old:
            keys = {*new, *old}
            out += [
                f"{name}.{key}"
                for key in sorted(keys)
                if key not in new or key not in old or not np.array_equal(new[key], old[key])
            ]
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="compare a fresh copy with the committed one"
    )
    if parser.parse_args().check:
        with tempfile.TemporaryDirectory() as temporary:
            make(Path(temporary))
            if found := differences(Path(temporary)):
                sys.exit(f"The embedded files differ from what is made here: {', '.join(found)}.")
    else:
        make(FOLDER)
