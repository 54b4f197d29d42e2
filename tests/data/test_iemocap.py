"""iemocap from small HDF5 files in the published layout."""

from __future__ import annotations

import numpy as np
import pytest

from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.errors import DatasetCorrupt, DatasetMissing
from tests.data.test_hdf5_sets import replaced, write


@pytest.fixture
def iemocap(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)
    folder, rng = tmp_path / "iemocap", np.random.default_rng(0)
    (folder / "target" / "1").mkdir(parents=True)
    names, features = [], {"A": {}, "V": {}, "L": {}}
    for part, n, session in (("trn", 16, 1), ("val", 8, 5), ("tst", 8, 5)):
        own = [f"Ses0{session}F_impro{len(names) + k:02d}_M000" for k in range(n)]
        np.save(folder / "target/1" / f"{part}_label.npy", np.eye(4)[np.arange(n) % 4])
        np.save(
            folder / "target/1" / f"{part}_int2name.npy",
            np.array([[x.encode(), b"F"] for x in own]),
        )
        names += own
    for k, name in enumerate(names):
        features["A"][name] = rng.normal(3, 2, (5 + 20 * k, 130))
        features["V"][name] = rng.normal(size=(4 + k, 342)).astype(np.float32)
        features["L"][name] = rng.normal(size=(2 + k, 1024)).astype(np.float32)
    for sub, file in (("A", "comparE"), ("V", "denseface"), ("L", "bert_large")):
        write(folder / sub / f"{file}.h5", **features[sub])
    statistics = {"1__mean": np.full(130, 3.0), "1__std": np.full(130, 2.0)}
    write(folder / "A" / "comparE_mean_std.h5", **statistics)
    return folder, names, features


def test_iemocap_as_published(iemocap):
    folder, names, features = iemocap
    prepare_dataset("iemocap", folder)
    data = load_dataset("iemocap")
    assert [len(x) for x in (data.train, data.val, data.test)] == [16, 8, 8]
    assert "sessions both in training and test: none" in data.provenance
    assert data.test.targets.tolist() == [0, 1, 2, 3] * 2
    batch = data.test[:].inputs
    for row, name in enumerate(names[24:]):
        for m, sub in (("audio", "A"), ("visual", "V"), ("text", "L")):
            x = features[sub][name]
            x = (x - 3) / 2 if m == "audio" else x
            steps = batch[m].shape[1]
            expected = np.concatenate([x, np.zeros((steps, x.shape[1]))])[:steps]
            assert np.allclose(batch[m][row], expected, atol=4e-3), (name, m)


IEMOCAP_DAMAGES = {
    "no list": (
        lambda f, n: (f / "target/1/val_label.npy").unlink(),
        r"val_label\.npy is not there",
    ),
    "other classes": (
        lambda f, n: np.save(f / "target/1/tst_label.npy", np.eye(6)),
        r"tst_label\.npy has shape \(6, 6\)",
    ),
    "objects": (
        lambda f, n: np.save(f / "target/1/tst_int2name.npy", np.array([{}] * 8)),
        r"tst_int2name\.npy is not an array of numbers",
    ),
    "no utterance": (
        lambda f, n: write(f / "V/denseface.h5", other=np.zeros((2, 342))),
        r"denseface\.h5 has no array 'Ses01F_impro00_M000'",
    ),
    "shape": (
        lambda f, n: replaced(f / "L/bert_large.h5", n[3], lambda x: x[:, :5]),
        r"impro03_M000 has shape \(5, 5\); expected is \(T, 1024\)",
    ),
    "twice": (
        lambda f, n: np.save(
            f / "target/1/val_int2name.npy", np.array([[x.encode()] for x in n[:8]])
        ),
        r"name Ses01F_impro00_M000 more than once \(8 such",
    ),
    "statistics": (
        lambda f, n: replaced(f / "A/comparE_mean_std.h5", "1/std", lambda x: x * 0),
        r"comparE_mean_std\.h5: mean and std of fold 1",
    ),
}


@pytest.mark.parametrize("name", IEMOCAP_DAMAGES)
def test_damage_of_iemocap_is_named(iemocap, name):
    do, message = IEMOCAP_DAMAGES[name]
    do(iemocap[0], iemocap[1])
    with pytest.raises((DatasetCorrupt, DatasetMissing), match=message):
        prepare_dataset("iemocap", iemocap[0])
