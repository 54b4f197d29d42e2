"""kinetics_sounds from a small folder of real clips, and Kaldi's filter banks."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.data._fbank import FLOOR, fbank
from msam_lib.data.media import read_track
from msam_lib.errors import DatasetCorrupt, DatasetMissing
from tests.data.distributions import RATE, write_clip, write_image, write_sound, write_video

SMALL = {"side": 12}
LOAD = SMALL | {"size": 8, "val_share": 0.25}


def kaldi(wave, rate, bands):
    """A frame at a time, bin by bin, as Kaldi's documentation describes it."""
    size, points = int(0.025 * rate), 512
    while points < size:
        points *= 2
    mel = lambda f: 1127 * np.log(1 + f / 700)  # noqa: E731
    edges = np.linspace(mel(20), mel(rate / 2), bands + 2)
    out = []
    for start in range(0, len(wave) - size + 1, int(0.01 * rate)):
        x = wave[start : start + size] - wave[start : start + size].mean()
        x = np.array([x[0] * 0.03, *(x[1:] - 0.97 * x[:-1])])
        x = x * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1)))
        power = np.abs(np.fft.fft(x, points)[: points // 2]) ** 2
        row = []
        for left, middle, right in zip(edges, edges[1:], edges[2:], strict=False):
            total = 0.0
            for k, p in enumerate(power):
                m = mel(k * rate / points)
                if left < m < right:
                    side = (m - left) / (middle - left), (right - m) / (right - middle)
                    total += p * min(side)
            row.append(np.log(max(total, FLOOR)))
        out.append(row)
    return np.array(out)


@pytest.mark.parametrize(("rate", "bands"), [(16_000, 128), (44_100, 40)])
def test_filter_banks_are_those_of_kaldi(rate, bands):
    wave = np.random.default_rng(0).normal(0, 0.1, rate // 20).astype(np.float32)
    found, expected = fbank(wave, rate, bands), kaldi(wave.astype(float), rate, bands)
    assert found.shape == expected.shape == (3, bands)
    assert np.allclose(found, expected, atol=2e-3)
    empty = (expected == np.log(FLOOR)).all(0)
    assert empty.any() == (rate == 16_000)  # 128 bands are too many for 512 points
    assert fbank(wave[:100], rate, bands).shape == (0, bands)


def test_the_sound_of_a_video_is_its_channels_mean(tmp_path):
    write_clip(tmp_path / "x.mp4", hertz=1000)
    wave, rate = read_track(tmp_path / "x.mp4")
    assert rate == RATE and abs(len(wave) / RATE - 1.2) < 0.1
    power = np.abs(np.fft.rfft(wave[4000:12000]))
    assert power.argmax() * RATE / 8000 == 1000
    assert power.max() / 4000 == pytest.approx(0.3, rel=0.1)  # half of 0.6


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two classes; training clips as mp4, one of them gone; test clips as frames and wav."""
    folder = tmp_path_factory.mktemp("ks")
    lines = {"train": [], "test": []}
    (folder / "videos" / "deep").mkdir(parents=True)
    for k in range(9):
        lines["train"].append(f"-a_{k}_000001_000011,10,{3 + 4 * (k % 2)}")
        if k != 8:
            clip = folder / "videos" / "deep" / f"-a_{k}_000001_000011.mp4"
            write_clip(clip, hertz=300 + 1500 * (k % 2), colour=40 + 90 * (k % 2))
    for k in range(4):
        lines["test"].append(f"b_{k},10,{3 + 4 * (k % 2)}")
        frames = folder / "frames" / f"b_{k}"
        frames.mkdir(parents=True)
        for t in range(1 + (k > 1)):
            write_image(frames / f"frame_{t + 1:05d}.jpg", 50 + 100 * t)
        write_sound(folder / f"b_{k}.wav", hertz=300 + 1500 * (k % 2))
    for part, text in lines.items():
        (folder / f"my_{part}.txt").write_text("\n".join(text) + "\n")
    return folder


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)
    return shutil.copytree(made, tmp_path / "ks")


def test_the_published_preprocessing(copy):
    prepare_dataset("kinetics_sounds", copy, jobs=2, **SMALL)
    data = load_dataset("kinetics_sounds", **LOAD)
    assert [len(x) for x in (data.train, data.val, data.test)] == [6, 2, 4]
    assert data.classes == ("class 3", "class 7") and "12 of 13 listed clips" in data.provenance
    assert data.test.targets.tolist() == [0, 1, 0, 1]
    assert {m: x.kind for m, x in data.modalities.items()} == {
        "audio": "spectrogram", "visual": "video",
    }  # fmt: skip
    assert data.train.inputs["visual"].transform.augment
    assert not data.test.inputs["visual"].transform.augment
    batch = data.test[:].inputs
    assert batch["audio"].shape == (4, 1, 1024, 128) and batch["visual"].shape == (4, 3, 3, 8, 8)
    t = np.arange(round(0.4 * RATE)) / RATE
    wave = 0.3 * np.sin(2 * np.pi * 300 * t)
    expected = (kaldi(wave[:800] - wave.mean(), RATE, 128) + 4.503877) / (2 * 5.141276)
    found = batch["audio"][0, 0].numpy()
    loud = expected > 0  # what is quiet depends on the 16 bits of the file
    assert loud.any() and np.allclose(found[: len(expected)][loud], expected[loud], atol=1e-2)
    assert np.allclose(found[38:], 4.503877 / (2 * 5.141276), atol=1e-3)  # padded
    red = (batch["visual"][:, :, 0].mean((2, 3)) * 0.229 + 0.485) * 255
    expected = torch.tensor([[50.0, 50, 50]] * 2 + [[50, 150, 150]] * 2)
    assert torch.allclose(red, expected, atol=3)
    # The clips' frames 0 and 10, of mp4; the louder band follows the class.
    still = data.val[:].inputs
    red = (still["visual"][:, :, 0].mean((2, 3)) * 0.229 + 0.485) * 255
    first = 40 + 90 * data.val.targets
    assert torch.allclose(red, torch.stack([first, first + 20, first + 20], 1).float(), atol=9)
    bands = still["audio"][:, 0, 20:100].mean(1).argmax(1)
    assert ((bands > 50) == (data.val.targets == 1)).all()


def test_one_frame_is_an_image(copy, capsys):
    options = ["--data-options", "side=12", "frames=1"]
    assert main(["prepare", "kinetics_sounds", "--source", str(copy), *options]) == 0
    data = load_dataset("kinetics_sounds", side=12, frames=1, size=8, val_share=0.25)
    assert data.modalities["visual"].kind == "image"
    assert data.test[:].inputs["visual"].shape == (4, 3, 8, 8)


CLIP = "videos/deep/-a_3_000001_000011.mp4"
DAMAGES = {
    "no list": (lambda f: (f / "my_test.txt").unlink(), r"my_test\.txt is not there.*OGM-GE"),
    "line": (
        lambda f: (f / "my_test.txt").write_text("b_0,10\n"),
        r"my_test\.txt, line 1: \['b_0', '10'\]; expected is CLIP,10,CLASS",
    ),
    "truncated clip": (
        lambda f: (f / CLIP).write_bytes((f / CLIP).read_bytes()[:900]),
        r"-a_3_000001_000011\.mp4 cannot be decoded",
    ),
    "silent clip": (lambda f: write_video(f / CLIP), r"-a_3_000001_000011\.mp4 has no sound"),
    "no clips": (
        lambda f: [shutil.rmtree(f / "videos"), shutil.rmtree(f / "frames")],
        r"None of the 13 listed clips is under .* -a_0_000001_000011\.mp4",
    ),
    "picture": (
        lambda f: (f / "frames/b_1/frame_00001.jpg").write_bytes(b"x" * 99),
        r"frame_00001\.jpg is not an image",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(copy, name):
    do, message = DAMAGES[name]
    do(copy)
    with pytest.raises((DatasetCorrupt, DatasetMissing), match=message):
        prepare_dataset("kinetics_sounds", copy, **SMALL)
