"""urfunny from a pickle in MultiBench's layout, and what a restricted reader refuses."""

from __future__ import annotations

import collections
import os
import pickle

import numpy as np
import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.data.pickles import read_pickle
from msam_lib.data.prepared import sha256_of
from msam_lib.errors import DatasetCorrupt, DatasetMissing

STEPS = 6


def part(n, seed):
    """Front-padded samples of k % 5 + 1 words; sample 3 has none, sample 1 an infinite sound."""
    rng = np.random.default_rng(seed)
    sizes = {"vision": 371, "audio": 81, "text": 300}
    out = {m: rng.normal(size=(n, STEPS, d)).astype(np.float32) for m, d in sizes.items()}
    for k in range(n):
        for x in out.values():
            x[k, : STEPS - (k % 5 + 1)] = 0
    out["text"][3] = 0
    out["audio"][1, -1, 7] = -np.inf
    labels = np.where(np.arange(n) % 2, 1, -1)[:, None].astype(np.float32)
    return out | {"labels": labels, "id": np.array([[f"id{k}"] for k in range(n)], dtype=object)}


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)
    content = {p: part(n, i) for i, (p, n) in enumerate([("train", 20), ("valid", 8), ("test", 9)])}
    path = tmp_path / "humor.pkl"
    path.write_bytes(pickle.dumps(content))
    return path, content


def test_the_published_preprocessing(source):
    path, content = source
    prepare_dataset("urfunny", path, sha256=sha256_of(path))
    data = load_dataset("urfunny")
    assert [len(x) for x in (data.train, data.val, data.test)] == [19, 7, 8]  # sample 3 is dropped
    kept = [k for k in range(20) if k != 3]
    assert data.train.targets.tolist() == [k % 2 for k in kept]
    batch = data.train[:]
    for row, k in enumerate(kept):
        words = k % 5 + 1
        text = batch.inputs["text"][row]
        assert torch.allclose(text[:words], torch.tensor(content["train"]["text"][k, -words:]),
                              atol=2e-3)  # fmt: skip
        assert not text[words:].any()
    assert batch.inputs["audio"][1, 1, 7] == 0 and torch.isfinite(batch.inputs["audio"]).all()


def test_one_command_prepares_and_one_trains(source, tmp_path, capsys):
    assert main(["prepare", "urfunny", "--source", str(source[0].parent)]) == 0
    arguments = ["--dataset", "urfunny", "--method", "msam", "--epochs", "1", "--store"]
    encoder = ["--encoder", "deep_transformer", "--width", "1"]
    assert main(["train", "--preset", "smoke", *encoder, *arguments, str(tmp_path / "runs")]) == 0
    assert "text       contribution" in capsys.readouterr().out


class Evil:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_something_is_refused(tmp_path, protocol):
    path, mark = tmp_path / "x.pkl", tmp_path / "mark"
    for evil in (Evil(os.mkdir, str(mark)), Evil(eval, f"open({str(mark)!r}, 'w')")):
        path.write_bytes(pickle.dumps({"train": [evil]}, protocol))
        with pytest.raises(DatasetCorrupt, match=r"it asks for (posix|nt|builtins)\.(mkdir|eval)"):
            read_pickle(path)
        assert not mark.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_are_read(tmp_path, protocol):
    content = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": [np.float64(1.5), (1, "x"), {2, 3}, None, True, b"y"],
        "c": collections.OrderedDict(k=np.array(["s", "t"], dtype=object)),
        "d": np.zeros((0, 3)),
    }
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    found = read_pickle(path)
    assert np.array_equal(found["a"], content["a"]) and found["b"] == content["b"]
    assert found["c"]["k"].tolist() == ["s", "t"] and found["d"].shape == (0, 3)


def test_a_file_of_numpy_1_is_read(tmp_path):
    # Protocol 2 of an array, with the names that numpy 1 wrote.
    written = pickle.dumps(np.arange(3), 2).replace(b"numpy._core", b"numpy.core")
    (tmp_path / "x.pkl").write_bytes(written)
    assert read_pickle(tmp_path / "x.pkl").tolist() == [0, 1, 2]


def changed(content, **changes):
    return content | {"valid": content["valid"] | changes}


WRONG = {
    "split": (
        lambda c: {"train": c["train"]},
        r"holds \['train'\]; expected .* train, valid, test",
    ),
    "modality": (lambda c: changed(c, audio=None), r"valid/audio has shape \(\)"),
    "key": (lambda c: c | {"test": {}}, r"test has no 'vision'"),
    "size": (lambda c: changed(c, text=np.zeros((8, 6, 5))), r"\(8, 6, 5\).*\(8, T, 300\)"),
    "count": (lambda c: changed(c, labels=np.zeros(3)), r"numbers \(3, T, 371\)"),
    "other": (lambda c: [1], r"holds list"),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_layout_is_named(source, name):
    path, content = source
    change, message = WRONG[name]
    path.write_bytes(pickle.dumps(change(content)))
    with pytest.raises(DatasetCorrupt, match=message):
        prepare_dataset("urfunny", path)


def test_a_truncated_missing_or_other_file_is_named(source):
    path, _ = source
    with pytest.raises(DatasetCorrupt, match="sha256"):
        prepare_dataset("urfunny", path, sha256="0" * 64)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(DatasetCorrupt, match="was not read"):
        prepare_dataset("urfunny", path)
    path.unlink()
    with pytest.raises(DatasetMissing, match=r"humor\.pkl is not there"):
        prepare_dataset("urfunny", path)
    with pytest.raises(DatasetMissing, match="prepare urfunny --source"):
        load_dataset("urfunny")
