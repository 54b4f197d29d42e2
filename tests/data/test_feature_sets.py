"""mosi, mfeat, isl and signs: on small files of the same layout, and on the real ones."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from msam_lib.data import isl, load_dataset, mfeat, mosi, signs
from msam_lib.data._download import Source, read_members
from msam_lib.data._tabular import read_csv, standardised, stratified
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError

real = pytest.mark.skipif("MSAM_DATA" not in os.environ, reason="needs MSAM_DATA, a data folder")
RNG = np.random.default_rng(0)


def csv(table, header=False) -> bytes:
    lines = [",".join(map(str, range(len(table[0]))))] if header else []
    return "\n".join([*lines, *(",".join(map(str, row)) for row in table)]).encode()


def mosi_files(train=20, test=12):
    files = {}
    labels = {"train": RNG.integers(2, size=train), "test": RNG.integers(2, size=test)}
    for folder, size in (("text", 4), ("audio", 3), ("video", 5)):
        for part, n in (("train", train), ("test", test)):
            x = RNG.normal(size=(n, size))
            files[f"{folder}/{folder}_{part}0.csv"] = csv(np.c_[x, labels[part]].tolist())
    place = np.r_[np.arange(train), train + np.arange(test)]
    files["text_test.csv"] = csv(np.c_[place[train:], np.zeros((test, 4))].tolist())
    ids = [f"vid{i // 3}_{i}" for i in range(train + test)]
    files["transcripts.csv"] = "\n".join(f'"{i}","WORDS","1","0"' for i in ids).encode()
    return files


def test_mosi_keeps_videos_apart(monkeypatch):
    files = mosi_files()
    monkeypatch.setattr(mosi, "read_members", lambda source: files)
    data = mosi.load(modalities=["audio", "text"])
    assert data.train.modalities == ("audio", "text")
    assert (len(data.train), len(data.val) + len(data.test)) == (20, 12)
    video = mosi._videos(files, 12)
    sizes = {v: int((video == v).sum()) for v in np.unique(video)}
    assert len(data.val) in {sizes[a] + sizes[b] for a in sizes for b in sizes} | set(
        sizes.values()
    )
    assert torch.allclose(data.train.inputs["text"].mean(0), torch.zeros(4), atol=1e-5)
    assert not torch.allclose(data.test.inputs["text"].mean(0), torch.zeros(4), atol=1e-2)


def test_mosi_notices_rows_that_do_not_match(monkeypatch):
    files = mosi_files()
    table = read_csv(files["audio/audio_train0.csv"], "x")
    table[0, -1] = 1 - table[0, -1]
    files["audio/audio_train0.csv"] = csv(table.tolist())
    monkeypatch.setattr(mosi, "read_members", lambda source: files)
    with pytest.raises(DatasetCorrupt, match="do not match"):
        mosi.load()


def mfeat_files(per_class=10):
    y = np.repeat(np.arange(10), per_class)
    sizes = dict(zip(mfeat.VIEWS, (7, 4, 3, 2, 6, 5), strict=True))
    views = {v: np.c_[RNG.normal(size=(len(y), d)), y] for v, d in sizes.items()}
    return {f"mfeat-{v}.csv": csv(x.tolist(), header=True) for v, x in views.items()}


def test_mfeat_is_split_by_class(monkeypatch):
    monkeypatch.setattr(mfeat, "read_members", lambda source: mfeat_files())
    data = mfeat.load(n_train=50, n_val=20)
    for part, count in (("train", 5), ("val", 2), ("test", 3)):
        targets = getattr(data, part).targets
        assert torch.bincount(targets).tolist() == [count] * 10
    assert data.modalities["pix"].shape == (6,)
    with pytest.raises(MsamError, match="n_train=90, n_val=20"):
        mfeat.load(n_train=90, n_val=20)


def isl_files(per_class=30, frames=400):
    out = {"readme.md": b"words"}
    for letter in "AB":
        for k in range(per_class):
            value = float(ord(letter)) + k / 100
            imu = {"gyroscope": [value] * 3, "acceleration": [1.0] * 3, "orientation": [0.5] * 4}
            record = {
                "emg": {"data": [[-value] * 8] * frames},
                "imu": {"data": [imu] * frames},
            }
            out[f"Dataset/{letter}/{k:02d}.json"] = json.dumps(record).encode()
    return out


def test_isl_averages_pieces(monkeypatch):
    monkeypatch.setattr(isl, "read_members", lambda source: isl_files())
    data = isl.load(length=20, modalities=["emg", "gyroscope"])
    assert data.classes == ("A", "B")
    assert [len(x) for x in (data.train, data.val, data.test)] == [32, 8, 20]
    assert data.train.inputs["emg"].shape == (32, 20, 8)
    # EMG is taken as absolute values, so both modalities are the same after standardising
    assert torch.allclose(data.train.inputs["emg"][..., 0], data.train.inputs["gyroscope"][..., 0])
    with pytest.raises(MsamError, match="length=30"):
        isl.load(length=30)


def test_isl_notices_short_recordings(monkeypatch):
    monkeypatch.setattr(isl, "read_members", lambda source: isl_files(frames=399))
    with pytest.raises(DatasetCorrupt, match=r"emg has shape \(399, 8\)"):
        isl.load()


def sign_files(per_class=70):
    out = {"README.md": b"words"}
    for digit in range(10):
        for k in range(per_class):
            buffer = io.BytesIO()
            Image.new("RGB", (40, 40), (k, k, k)).save(buffer, "PNG")
            out[f"{digit}/IMG_{k:03d}.JPG"] = buffer.getvalue()
    return out


def test_signs_of_the_test_split_are_the_last_ones(monkeypatch):
    monkeypatch.setattr(signs, "read_members", lambda source: sign_files())
    found = signs._photographs()
    assert [len(found[p][0]) for p in ("train", "val", "test")] == [100, 200, 400]
    grey = {p: np.unique(np.round(255 * x[:, 0, 0])) for p, (x, _) in found.items()}
    assert grey["train"].max() < grey["val"].min() <= grey["val"].max() < grey["test"].min()
    reduced = signs._reduced(found, 1)
    assert reduced["test"][0].shape == (400, 1, 32, 32)
    whole = signs._reduced(found, 0)["train"][0]
    assert torch.allclose(reduced["train"][0], whole, atol=1e-5)  # flat images have one component


def test_a_broken_photograph_is_noticed(monkeypatch):
    monkeypatch.setattr(signs, "read_members", lambda source: {"3/IMG_1.JPG": b"no picture"})
    with pytest.raises(DatasetCorrupt, match="not a photograph"):
        signs._photographs()


def test_statistics_are_those_of_the_training_part():
    train = np.array([[1.0, 5.0], [3.0, 5.0]])
    found = standardised({"train": train, "test": np.array([[5.0, 9.0]])})
    assert found["train"].tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert found["test"].tolist() == [[3.0, 0.0]]


def test_stratified_parts_are_disjoint_and_complete():
    y = np.repeat([0, 1, 2], [10, 20, 30])
    parts = stratified(y, [0.5, 0.2, 0.3], seed=1)
    assert sorted(np.concatenate(parts)) == list(range(60))
    assert [np.bincount(y[p]).tolist() for p in parts] == [[5, 10, 15], [2, 4, 6], [3, 6, 9]]
    again = stratified(y, [0.5, 0.2, 0.3], seed=2)
    assert not np.array_equal(parts[0], again[0])


@pytest.mark.parametrize("content", [b"1,2\n3,x\n", b"1,2\n3,\n", b""])
def test_broken_tables_are_noticed(content):
    with pytest.raises(DatasetCorrupt, match=r"f\.csv"):
        read_csv(content, "f.csv")


@pytest.mark.parametrize("name", ["mosi", "mfeat", "isl", "signs"])
def test_missing_files_are_named(name, monkeypatch, tmp_path):
    monkeypatch.setenv("MSAM_DATA", str(tmp_path))
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DatasetMissing, match="MSAM_DATA"):
        load_dataset(name)


def test_single_files_are_downloaded_and_verified(monkeypatch, tmp_path):
    from msam_lib.data import _download as download

    monkeypatch.delenv("MSAM_DATA", raising=False)
    asked = []

    def single(source):
        asked.append((source.url, source.sha256))
        path = tmp_path / source.path.replace("/", "_")
        path.write_bytes(b"content")
        return path

    monkeypatch.setattr(download, "_download", single)
    source = Source("x/y.zip", "", "https://host/{member}", files={"b.csv": "22", "a.csv": "11"})
    assert read_members(source) == {"a.csv": b"content", "b.csv": b"content"}
    assert asked == [("https://host/a.csv", "11"), ("https://host/b.csv", "22")]


def scores(data, names):
    from sklearn.linear_model import LogisticRegression

    def flat(part):
        return np.concatenate([part.inputs[m].flatten(1).numpy() for m in names], 1)

    model = LogisticRegression(max_iter=300, C=0.05).fit(flat(data.train), data.train.targets)
    return model.score(flat(data.test), data.test.targets)


@real
@pytest.mark.parametrize(
    ("name", "modality", "expected"),
    [
        ("mosi", "text", 0.76),
        ("mosi", "audio", 0.51),
        ("mfeat", "fac", 0.97),
        ("mfeat", "mor", 0.7),
    ],
)
def test_the_real_sets_are_as_hard_as_they_should_be(name, modality, expected):
    data = load_dataset(name)
    assert scores(data, [modality]) == pytest.approx(expected, abs=0.06)


@real
def test_real_sizes():
    data = load_dataset("mosi")
    assert (len(data.train), len(data.val) + len(data.test)) == (1447, 752)
    assert [len(x) for x in (lambda d: (d.train, d.val, d.test))(load_dataset("mfeat"))] == [
        1300,
        300,
        400,
    ]
    found = load_dataset("isl")
    assert torch.bincount(found.test.targets).tolist() == [10] * 26
