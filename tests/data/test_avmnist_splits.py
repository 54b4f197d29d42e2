"""AV-MNIST's splits share nothing, on made-up images, recordings and noises that tell where they
come from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from msam_lib.data import avmnist
from msam_lib.data._audio import log_mel, write_wav

COUNTS = {"train": 40, "val": 20, "test": 20}
DIGITS = {"train": range(3), "val": range(3, 6), "test": range(6, 10)}  # of a split's images
PITCH = {"train": 500.0, "val": 1100.0, "test": 2000.0}  # Hz, of a split's part of the noise
BASE = {"seed": 0, "size": "small", "split": "take", "energy": 0.25, **COUNTS}


def tone(hertz: float, seconds: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(8000 * seconds)) / 8000)


def spoken(digit: int) -> float:
    return 400.0 + 250 * digit


def wav(folder: Path, wave: np.ndarray) -> bytes:
    write_wav(folder / "a.wav", wave, 8000)
    return (folder / "a.wav").read_bytes()


def band(hertz: float) -> int:
    """The mel band in which a tone is loudest."""
    wave = torch.from_numpy(tone(hertz, 1.0)).float()[None]
    return int(log_mel(wave, 8000, **avmnist.SIZES["small"])[0].mean(-1).argmax())


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Images that vary along one pixel in training and along another one elsewhere."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.resize(DIGITS[p], n) for p, n in COUNTS.items()])
    images = np.full((len(labels), 784), 100, dtype=np.uint8)
    images[: COUNTS["train"], 0] = rng.integers(90, 111, COUNTS["train"])
    images[COUNTS["train"] :, 1] = rng.integers(0, 256, len(labels) - COUNTS["train"])
    cut = COUNTS["train"] + COUNTS["val"]
    idx = {
        "train_images": images[:cut].reshape(-1, 28, 28),
        "test_images": images[cut:].reshape(-1, 28, 28),
        "train_labels": labels[:cut],
        "test_labels": labels[cut:],
    }
    speech = {
        f"x/{d}_{speaker}_{take}.wav": wav(tmp_path, tone(spoken(d), 0.9))
        for d in range(10)
        for speaker, take in (("george", 0), ("theo", 5), ("lucas", 10))
    }
    noise = np.concatenate([tone(PITCH[p], s) for p, s in (("train", 14), ("val", 2), ("test", 4))])
    noise += 0.05 * rng.standard_normal(len(noise))  # some spread in every band
    monkeypatch.setattr(avmnist, "COUNTS", COUNTS)
    monkeypatch.setattr(avmnist, "MNIST", {key: key for key in idx})
    monkeypatch.setattr(avmnist, "fetch", lambda source: source)
    monkeypatch.setattr(avmnist, "read_idx", lambda path, dims: idx[path])
    members = {id(avmnist.FSDD): speech, id(avmnist.NOISE): {"a.wav": wav(tmp_path, noise)}}
    monkeypatch.setattr(avmnist, "read_members", lambda source: members[id(source)])


def test_every_split_has_its_own_images_and_its_own_part_of_the_noise(files):
    made = avmnist._make(BASE | {"snr_db": -60.0})
    for part in COUNTS:
        assert set(made[f"{part}_targets"].tolist()) == set(DIGITS[part])
    bands = {p: band(hertz) for p, hertz in PITCH.items()}
    assert len(set(bands.values())) == 3
    for part in ("val", "test"):  # in units of the training split, where these tones are missing
        heard = made[f"{part}_audio"][:, 0].mean(-1)
        own = heard[:, bands[part]]
        others = torch.stack([heard[:, b] for p, b in bands.items() if p != part])
        assert bool((own > others.max(0).values + 1).all())


def test_components_and_statistics_are_those_of_the_training_split(files):
    made = avmnist._make(BASE | {"snr_db": -60.0})
    # what varies elsewhere only is no part of the training images' components
    second = torch.cat([made[f"{p}_visual"].flatten(1)[:, 1] for p in COUNTS])
    assert float(second.std()) < 1e-6
    assert float(made["train_visual"].flatten(1)[:, 0].std()) > 1e-3
    audio = made["train_audio"]
    assert float(audio.mean((0, 3)).abs().max()) < 1e-4
    assert float((audio.std((0, 3)) - 1).abs().max()) < 1e-3
    assert float(made["test_audio"].mean((0, 3)).abs().max()) > 1


def test_the_spoken_digit_is_the_one_in_the_image(files):
    made = avmnist._make(BASE | {"snr_db": float("inf")})
    places = torch.tensor([band(spoken(d)) for d in range(10)])
    assert len(set(places.tolist())) == 10
    heard = made["train_audio"][:, 0].mean(-1)[:, places[:3]]
    assert torch.equal(heard.argmax(1), made["train_targets"])
