"""AV-MNIST: bad files are refused; on the real files, the recipe's facts hold."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from msam_lib.data import _download as download
from msam_lib.data import avmnist, load_dataset
from msam_lib.data._audio import log_mel, mix, resample, write_wav
from msam_lib.data._avmnist_recipe import principal_components
from msam_lib.data._avmnist_sources import FSDD, MNIST
from msam_lib.data._idx import read_idx
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError

REAL = os.environ.get("MSAM_DATA")
real = pytest.mark.skipif(not REAL, reason="MSAM_DATA is not set: no real data here")
SMALL = {"n_train": 300, "n_val": 100, "n_test": 200}


def idx(values: np.ndarray, magic: int = 0x08) -> bytes:
    header = bytes([0, 0, magic, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def test_idx_files_are_read(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx(values))
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx(values)))
    assert np.array_equal(read_idx(tmp_path / "a", 3), values)
    assert np.array_equal(read_idx(tmp_path / "b.gz", 3), values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(np.zeros((2, 3), np.uint8)), "magic number 00000802, but 00000803"),
        (idx(np.zeros((2, 3, 4), np.uint8))[:-1], "holds 23 values"),
        (idx(np.zeros((2, 3, 4), np.uint8))[:9], "inside its header"),
        (b"", "empty file"),
    ],
)
def test_bad_idx_files_are_refused(content, message, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DatasetCorrupt, match=message):
        read_idx(tmp_path / "a", 3)


def test_a_truncated_gzip_is_refused(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(np.zeros((50, 9, 9), np.uint8)))[:-9])
    with pytest.raises(DatasetCorrupt, match="cannot be unpacked"):
        read_idx(tmp_path / "a.gz", 3)


def test_a_missing_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_DATA", str(tmp_path))
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DatasetMissing, match="dataset='avmnist_mini'"):
        load_dataset("avmnist", **SMALL)


def test_a_wrong_checksum_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_DATA", str(tmp_path))
    source = MNIST["train_labels"]
    (tmp_path / "mnist").mkdir()
    (tmp_path / source.path).write_bytes(b"something else")
    with pytest.raises(DatasetCorrupt, match=source.sha256[:16]):
        download.fetch(source)


def test_no_network_and_no_folder_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("MSAM_DATA", raising=False)
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path))
    unreachable = replace(MNIST["train_labels"], url="http://192.0.2.1/nothing")
    with pytest.raises(DatasetMissing, match="could not be downloaded"):
        download.fetch(unreachable)


def archive(folder, content=b"abc"):
    (folder / "fsdd").mkdir()
    with zipfile.ZipFile(folder / FSDD.path, "w") as file:
        file.writestr("x/recordings/0_a_0.wav", content)


def test_archives_are_verified_by_their_members(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_DATA", str(tmp_path))
    archive(tmp_path)
    with pytest.raises(DatasetCorrupt, match="over 1 members"):
        download.read_members(FSDD)
    path = tmp_path / FSDD.path
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DatasetCorrupt, match="cannot be read as an archive"):
        download.read_members(FSDD)


def test_a_truncated_recording_is_refused(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(100), 8000)
    content = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(DatasetCorrupt, match=r"b\.wav is truncated"):
        avmnist.read_wav(io.BytesIO(content[:-10]), "b.wav")
    with pytest.raises(DatasetCorrupt, match="not a PCM wav"):
        avmnist.read_wav(io.BytesIO(b"RIFF"), "c.wav")


def test_mixing_gives_the_stated_ratio():
    g = torch.Generator().manual_seed(0)
    signal, noise = torch.randn(2, 3, 8000, generator=g).unbind(0)
    noisy = mix(signal, 5 * noise, -12.0)
    power = (noisy - signal).square().mean(1) / signal.square().mean(1)
    assert (-10 * power.log10()).tolist() == pytest.approx([-12.0] * 3, abs=1e-4)
    assert torch.equal(mix(signal, noise, float("inf")), signal)


def test_log_mel_finds_a_tone_at_its_frequency():
    t = torch.arange(8000) / 8000
    bands = [
        int(
            log_mel(torch.sin(2 * torch.pi * f * t)[None], 8000, **avmnist.SIZES["small"])
            .mean(2)
            .argmax()
        )
        for f in (300.0, 1000.0, 3000.0)
    ]
    mels = [2595 * np.log10(1 + f / 700) for f in (300.0, 1000.0, 3000.0, 4000.0)]
    expected = [41 * m / mels[-1] - 1 for m in mels[:-1]]
    assert bands == pytest.approx(expected, abs=0.75)


def test_resampling_keeps_a_slow_wave():
    t = np.arange(16000) / 16000
    slow = np.sin(2 * np.pi * 50 * t).astype(np.float32)
    assert np.abs(resample(slow, 16000, 8000)[200:-200] - slow[::2][200:-200]).max() < 0.01


def test_principal_components_keep_the_stated_energy():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 4)) * np.sqrt([8.0, 4.0, 2.0, 2.0])  # shares 1/2, 1/4, 1/8, 1/8
    for energy, k in [(0.25, 1), (0.6, 2), (0.8, 3)]:
        assert principal_components(x, energy)[1].shape == (4, k)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "smal"}, "Did you mean 'small'"),
        ({"split": "takes"}, "Did you mean 'take'"),
        ({"n_train": 0}, "n_train=0"),
        ({"n_test": 10_001}, "n_test=10001"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        load_dataset("avmnist", **options)


@real
def test_the_real_files(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path))
    data = load_dataset("avmnist", **SMALL)
    assert [len(p) for p in (data.train, data.val, data.test)] == [300, 100, 200]
    assert data.train.inputs["audio"].shape == (300, 1, 40, 49)
    flat = data.train.inputs["visual"].flatten(1)
    assert int(torch.linalg.matrix_rank(flat - flat.mean(0), rtol=1e-3)) == 4
    assert float(data.train.inputs["audio"].mean()) == pytest.approx(0, abs=1e-3)
    cached = sorted(tmp_path.glob("avmnist-*.pt"))
    again = load_dataset("avmnist", **SMALL)
    assert torch.equal(again.test.inputs["audio"], data.test.inputs["audio"])
    assert sorted(tmp_path.glob("*.pt")) == cached
    cached[0].write_bytes(b"broken")
    mended = load_dataset("avmnist", **SMALL)
    assert torch.equal(mended.test.inputs["audio"], data.test.inputs["audio"])
    other = load_dataset("avmnist", snr_db=0.0, **SMALL)
    assert not torch.equal(other.test.inputs["audio"], data.test.inputs["audio"])
    assert len(list(tmp_path.glob("*.pt"))) == 2


@real
def test_no_recording_is_in_two_splits():
    recordings = avmnist.read_recordings()
    assert len(recordings) == 3000
    for split in ("take", "speaker"):
        found = {
            part: {k for k in recordings if avmnist._in(part, k[0], k[1], {"split": split})}
            for part in avmnist.COUNTS
        }
        assert not found["train"] & found["val"]
        assert not (found["train"] | found["val"]) & found["test"]
        if split == "speaker":
            speakers = {p: {k[0] for k in keys} for p, keys in found.items()}
            assert not speakers["train"] & speakers["test"]
        else:
            assert sum(map(len, found.values())) == 3000
