"""mosi_regression, mosei and sims from pickles in MMSA's layout, and what is wrong with others."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.data._mmsa_source import CORPORA
from msam_lib.data.prepared import sha256_of
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError
from msam_lib.tasks import Regression

OTHER = {"file": "other"}
SIZES = {"text": 6, "audio": 3, "vision": 4}


def part(n, seed, steps, scores):
    """Sample k has steps % (k % 3 + 1) leading zeros in text; sample 1 an infinite sound."""
    rng = np.random.default_rng(seed)
    out = {m: rng.normal(size=(n, steps[m], d)).astype(np.float32) for m, d in SIZES.items()}
    for k in range(n):
        for m, x in out.items():
            x[k, : k % 3 + (m == "vision")] = 0
    out["audio"][1, -1, 2] = -np.inf
    labels = np.resize(np.float32(scores), n)
    return out | {"regression_labels": labels, "id": [f"video$_${k}" for k in range(n)]}


def corpus(steps, scores):
    sizes = [("train", 20), ("valid", 7), ("test", 9)]
    return {p: part(n, i, steps, scores) for i, (p, n) in enumerate(sizes)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)


@pytest.fixture
def aligned(tmp_path, monkeypatch):
    """A made aligned_50.pkl in `Processed`, taken for the published one."""
    content = corpus(dict.fromkeys(SIZES, 8), [-3, -1, 0, 0.4, 2.2])
    path = tmp_path / "MOSI" / "Processed" / "aligned_50.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(content))
    for name in ("mosi_regression", "mosei"):
        monkeypatch.setitem(CORPORA[name].digests, "aligned_50", sha256_of(path))
    return path, content


def test_the_published_preprocessing(aligned):
    path, content = aligned
    prepare_dataset("mosi_regression", path.parent.parent)
    data = load_dataset("mosi_regression")
    assert [len(x) for x in (data.train, data.val, data.test)] == [20, 7, 9]
    batch = data.train[:]
    assert torch.equal(batch.targets, torch.tensor(content["train"]["regression_labels"]))
    for m, key in (("text", "text"), ("audio", "audio"), ("visual", "vision")):
        x = content["train"][key].copy()
        x[~np.isfinite(x)] = 0
        for k in range(20):
            cut = k % 3  # as text and audio begin, and vision with them: they are aligned
            moved = np.concatenate([x[k, cut:], np.zeros((cut, x.shape[2]))])
            assert np.allclose(batch.inputs[m][k], moved, atol=2e-3)
    assert {m: x.kind for m, x in data.modalities.items()} == dict.fromkeys(
        ("text", "audio", "visual"), "sequence"
    )


def test_the_task_is_a_regression_scaled_by_the_training_median(aligned):
    path, content = aligned
    prepare_dataset("mosei", path)
    data = load_dataset("mosei")
    y = content["train"]["regression_labels"]
    assert isinstance(data.task, Regression) and data.task.limits == (-3, 3)
    assert data.task.scale == pytest.approx(np.abs(y - np.median(y)).mean()) and not data.classes
    assert "8 negative, 4 neutral, 8 positive" in data.provenance
    assert load_dataset("mosei", loss="huber").task.shape == "huber"


def test_sims_has_labels_of_each_modality(tmp_path):
    content = corpus({"text": 5, "audio": 8, "vision": 6}, [-1, -0.2, 0, 0.6])
    for p in content.values():
        y = p["regression_labels"]
        p |= {"regression_labels_T": y, "regression_labels_A": -y, "regression_labels_V": y * 0}
    (tmp_path / "unaligned_39.pkl").write_bytes(pickle.dumps(content))
    with pytest.warns(UserWarning, match="has sha256"):
        prepare_dataset("sims", tmp_path, **OTHER)
    data = load_dataset("sims", **OTHER)
    assert data.task.limits == (-1, 1)
    y = content["test"]["regression_labels"]
    zeros = (y == 0).mean()
    assert data.people == {"text": 1.0, "audio": zeros, "visual": zeros}
    # Not aligned: every modality begins at its own first value.
    x = data.train[:].inputs
    assert (x["text"][:, 0] != 0).all() and (x["visual"][:, 0] != 0).all()
    assert [tuple(v.shape[1:]) for v in x.values()] == [(5, 6), (8, 3), (6, 4)]


def test_the_layout_of_mult_is_read_as_another_file(tmp_path):
    content = corpus(dict.fromkeys(SIZES, 4), [-1, 2])
    for p in content.values():
        p["labels"] = p.pop("regression_labels")[:, None, None]
    (tmp_path / "mosi.pkl").write_bytes(pickle.dumps(content))
    with pytest.warns(UserWarning, match="has sha256"):
        prepare_dataset("mosi_regression", tmp_path / "mosi.pkl", **OTHER)
    assert load_dataset("mosi_regression", **OTHER).train.targets[:2].tolist() == [-1, 2]
    with pytest.raises(DatasetMissing, match="prepare mosi_regression --source"):
        load_dataset("mosi_regression")


def test_one_command_prepares_and_one_trains(aligned, tmp_path, capsys):
    assert main(["prepare", "mosi_regression", "--source", str(aligned[0].parent)]) == 0
    arguments = ["train", "--dataset", "mosi_regression", "--method", "msam", "--epochs", "1"]
    small = ["--preset", "smoke", "--width", "1", "--store", str(tmp_path / "runs")]
    assert main([*arguments, *small]) == 0
    assert "text" in capsys.readouterr().out


def changed(content, **changes):
    return content | {"valid": content["valid"] | changes}


WRONG = {
    "part": (lambda c: {"train": c["train"]}, r"holds \['train'\]; expected .* train, valid, test"),
    "key": (lambda c: c | {"test": {}}, r"test has no 'text'"),
    "sizes": (lambda c: changed(c, audio=np.zeros((7, 8, 5))), r"valid/audio .*\(7, T, 3\)"),
    "range": (lambda c: changed(c, regression_labels=[0, 9] * 4), r"sample 1 .*\[9\.\].*-3 to 3"),
    "gap": (lambda c: changed(c, regression_labels=[np.nan] * 7), r"sample 0 has the label"),
    "words": (lambda c: changed(c, regression_labels=["x"] * 7), r"are no numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_layout_is_named(aligned, name):
    path, content = aligned
    change, message = WRONG[name]
    path.write_bytes(pickle.dumps(change(content)))
    with (
        pytest.warns(UserWarning, match="has sha256"),
        pytest.raises(DatasetCorrupt, match=message),
    ):
        prepare_dataset("mosi_regression", path, **OTHER)


def test_a_truncated_missing_or_other_file_is_named(aligned, tmp_path):
    path, _ = aligned
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DatasetCorrupt, match=r"aligned_50\.pkl has sha256 .* file=other"):
        prepare_dataset("mosi_regression", path)
    with pytest.raises(DatasetMissing, match=r"aligned_50\.pkl is not there.*thuiar/MMSA"):
        prepare_dataset("mosi_regression", tmp_path)
    with pytest.raises(MsamError, match="aligned_05"):
        prepare_dataset("mosi_regression", path, variant="aligned_05")
