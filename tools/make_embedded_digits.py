"""Make the committed part of the data set `digits`: spoken digits as spectrograms, misspelled
number words, wavs.

    python tools/make_embedded_digits.py            # writes msam_lib/data/embedded/
    python tools/make_embedded_digits.py --check    # makes it again elsewhere, compares the bytes

Needs espeak-ng 1.51 and scikit-learn. Everything is drawn from one seed, and espeak-ng says the
same words with the same samples every time, so two runs on one machine write the same bytes. The
images themselves are not written: they are scikit-learn's `load_digits`, of which only the order of
the three splits is fixed here.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from embedded_files import digests, save_npz
from misspelled_words import NUMBER_WORDS, misspelled

from msam_lib.data._audio import centre, log_mel, mix, read_wav, resample, write_wav

SEED, RATE, LENGTH = 20240, 8000, 6400  # 0.8 s
SPECTROGRAM = {"n_mels": 24, "window": 512, "hop": 256}  # 24 frames
SNR_DB = 10.0
SIZES = {"train": 1197, "val": 200, "test": 400}
EMBEDDED = Path(__file__).resolve().parents[1] / "msam_lib" / "data" / "embedded"

# `en-gb` and `en` ignore variants in espeak-ng 1.51 and `en-us-nyc` says digits as `en-us` does:
# left out.
ACCENTS = ["en-us", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-gb-scotland"]
# A variant is a speaker. No variant is in two splits, whatever the accent, and relatives (Gene,
# Gene2) stay together. Of identical ones (caleb, klatt, klatt6) one is kept.
VARIANTS = {
    "train": """
    adam Alex Alicia Andrea Annie antonio belinda boris david Demonic Denis Diogo ed Gene
    Gene2 gustave announcer Henrique Hugo iven iven2 iven3 iven4 Jacky kaukovalta linda Marco
    Mario max Michael michel Nguyen pablo pedro RicishayMax RicishayMax2 RicishayMax3 rob
    robert robosoft robosoft2 robosoft3 robosoft4 robosoft5 robosoft6 robosoft7 robosoft8
    UniRobot f1 f3 f5 m1 m3 m5 m7 grandma klatt klatt2 klatt3 klatt4 klatt5 norbert shelby
    whisper whisperf
""".split(),
    "val": """
    Andy AnxiousAndy Lee miguel f4 m4 m8 travis anika anikaRobot marcelo paul
""".split(),
    "test": """
    aunty benjamin edward edward2 john Mike quincy steph steph2 steph3 Storm Tweaky zac fast
    f2 m2 m6 grandpa sandro victor croak
""".split(),
}
DIGITS = """
    zero one two three four five six seven eight nine
""".split()
BABBLE = """
    the boat drifted slowly past the harbour while children were laughing on the wooden pier
    and the old man told a story about winter rain falling over distant green hills
""".split()


def speak(text: str, voice: str, speed: int, pitch: int) -> np.ndarray:
    """(S,) samples at `RATE`, silence trimmed from both ends, peak 0.9."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = [
            "espeak-ng",
            "-v",
            voice,
            "-s",
            str(speed),
            "-p",
            str(pitch),
            "-w",
            file.name,
            text,
        ]
        subprocess.run(command, check=True, capture_output=True)
        samples, rate = read_wav(Path(file.name))
    samples = resample(samples, rate, RATE)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1]
    return 0.9 * samples / np.abs(samples).max()


def pink(length: int, rng: np.random.Generator) -> np.ndarray:
    """(length,) noise whose power falls as 1/f."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    samples = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), length)
    return samples / samples.std()


def background(split: str, rng: np.random.Generator) -> np.ndarray:
    """Ten seconds of the split's own noise: six of its voices talking at once, and pink noise,
    equal powers.
    """
    length, babble = 10 * RATE, np.zeros(10 * RATE)
    for variant in rng.choice(VARIANTS[split], 6, replace=False):
        words = " ".join(rng.permutation(BABBLE))
        talk = speak(words, f"{rng.choice(ACCENTS)}+{variant}", 160, int(rng.integers(30, 70)))
        babble += np.resize(talk / talk.std(), length)
    return babble / babble.std() + pink(length, rng)


def spoken(
    split: str, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """Log-mel spectrograms (N, 24, 24) of one utterance per label in noise, and each one's
    voice.
    """
    noise, clips, noises, powers, voices = background(split, rng), [], [], [], []
    for digit in labels:
        voice = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS[split])}"
        wave = speak(DIGITS[digit], voice, int(rng.integers(130, 211)), int(rng.integers(25, 76)))
        powers.append(float((wave**2).mean()))
        shift = int(rng.integers(-400, 401))  # up to 50 ms off the centre
        clips.append(np.roll(centre(wave[: LENGTH - 800], LENGTH), shift))
        start = int(rng.integers(0, len(noise) - LENGTH))
        noises.append(noise[start : start + LENGTH])
        voices.append(voice)
    stack = [torch.tensor(np.stack(x), dtype=torch.float32) for x in (clips, noises, powers)]
    waves = mix(stack[0], stack[1], SNR_DB, stack[2])
    return log_mel(waves, RATE, **SPECTROGRAM).numpy(), voices


def make(folder: Path) -> None:
    """Write digits.npz, digits.csv.gz, wav/*.wav and provenance.json to `folder`."""
    rng = np.random.default_rng(SEED)
    target = load_digits().target
    rest, test = train_test_split(
        np.arange(len(target)), test_size=SIZES["test"], stratify=target, random_state=SEED
    )
    train, val = train_test_split(
        rest, test_size=SIZES["val"], stratify=target[rest], random_state=SEED
    )
    order = {"train": train, "val": val, "test": test}
    everything = np.concatenate(list(order.values()))
    sound = {split: spoken(split, target[index], rng) for split, index in order.items()}
    words = misspelled(target[everything], rng)

    spectra = np.concatenate([s for s, _ in sound.values()])
    low, high = float(np.quantile(spectra, 0.0005)), float(np.quantile(spectra, 0.9995))
    codes = np.clip(np.round((spectra - low) / (high - low) * 255), 0, 255).astype(np.uint8)
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    save_npz(folder / "digits.npz", audio=codes, audio_range=np.array([low, high]))
    for digit, name in enumerate(DIGITS):
        voice = f"{ACCENTS[digit % len(ACCENTS)]}+{VARIANTS['train'][7 * digit % 60]}"
        write_wav(folder / "wav" / f"{digit}_{name}.wav", speak(name, voice, 160, 50), RATE)

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "image", "digit", "voice", "word"])
    voices = [v for _, vs in sound.values() for v in vs]
    splits = [s for s, index in order.items() for _ in index]
    writer.writerows(zip(splits, everything, target[everything], voices, words, strict=True))
    (folder / "digits.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))
    write_provenance(folder)


def write_provenance(folder: Path) -> None:
    """What was used to make the files, and their sha256."""
    version = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True)
    # Not `avmnist_mini`, which lies beside them.
    files = [*folder.glob("*.npz"), *folder.glob("*.gz"), *folder.glob("wav/*.wav")]
    facts = {
        "made_by": "tools/make_embedded_digits.py",
        "seed": SEED,
        "images": "scikit-learn load_digits "
        "(UCI Optical Recognition of Handwritten Digits, CC BY 4.0)",
        "speech": "synthesised: " + version.stdout.split("  Data at")[0].strip(),
        "accents": ACCENTS,
        "variants": VARIANTS,
        "speed_words_per_minute": [130, 210],
        "pitch": [25, 75],
        "rate_hz": RATE,
        "spectrogram": SPECTROGRAM | {"samples": LENGTH, "quantised": "uint8"},
        "noise": "six of the split's own synthetic voices talking at once "
        "+ pink noise, equal powers",
        "snr_db": SNR_DB,
        "words": "number words in " + ", ".join(NUMBER_WORDS) + " with one to three typing errors",
        "sha256": digests(folder, files),
    }
    (folder / "provenance.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="compare a fresh copy with the committed one"
    )
    if parser.parse_args().check:
        with tempfile.TemporaryDirectory() as name:
            make(Path(name))
            same = (Path(name) / "provenance.json").read_bytes()
        if same != (EMBEDDED / "provenance.json").read_bytes():
            sys.exit("The embedded digits differ from what this script makes here.")
    else:
        make(EMBEDDED)
