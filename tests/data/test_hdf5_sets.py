"""ave and iemocap from small HDF5 files in the published layout."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest
import torch

from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.diagnostics import block_traces
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError
from msam_lib.models import build_model
from msam_lib.plots.samples import sample_grid
from msam_lib.tasks import SegmentClassification

EVENTS = [f"event {k:02d}" for k in range(28)]


def write(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key.replace("__", "/")] = array


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """114 clips, the event of clip k is 3 k % 28 in the labels' order; 0 and 112 are of one video,
    and so are 56 and 84; the sound of clip k is k, the picture k / 10 on the average.
    """
    folder, n = tmp_path_factory.mktemp("ave"), 114
    labels = np.zeros((n, 10, 29), np.int64)
    event = 3 * np.arange(n) % 28
    for k in range(n):
        labels[k, :, 28] = 1
        end = 8 if k % 2 else 4
        labels[k, 2:end, event[k]], labels[k, 2:end, 28] = 1, 0
    number = np.arange(n, dtype=np.float32)
    audio = np.broadcast_to(number[:, None, None], (n, 10, 128)).copy()
    audio[:, :, 0] = np.arange(10)
    visual = np.broadcast_to(number[:, None, None, None, None] / 10, (n, 10, 7, 7, 512)).copy()
    visual[:, :, 0, 0] += 1
    visual[:, :, 6, 6] -= 1
    write(folder / "audio_feature.h5", avadataset=audio)
    write(folder / "visual_feature.h5", avadataset=visual.astype(np.float16))
    write(folder / "labels.h5", avadataset=labels)
    orders = {"test": range(85, n), "val": range(56, 85), "train": range(55, -1, -1)}
    for part, order in orders.items():
        write(folder / f"{part}_order.h5", order=np.array(order))
    # Alphabetical names, in another order than the columns of the labels.
    ids = {112: 0, 84: 56}
    lines = [f"{EVENTS[27 - event[k]]}&video{ids.get(k, k)}&good&0&10" for k in range(n)]
    (folder / "data").mkdir()
    table = folder / "data" / "Annotations.txt"
    table.write_text("Category&VideoID&Quality&StartTime&EndTime\n" + "\n".join(lines) + "\n")
    return folder, event


@pytest.fixture
def ave(published, tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)
    return shutil.copytree(published[0], tmp_path / "ave"), published[1]


def test_ave_keeps_every_video_once(ave):
    folder, event = ave
    done = prepare_dataset("ave", folder)
    data = load_dataset("ave")
    assert [len(x) for x in (data.train, data.val, data.test)] == [55, 28, 29]
    kept = {
        p: [s["clip"] for s in done.samples if s["part"] == p] for p in ("train", "val", "test")
    }
    assert "112" in kept["test"] and "0" not in kept["train"]  # the test part keeps what is shared
    assert "56" in kept["val"] and "84" not in kept["val"]  # the first of a part
    assert data.classes == tuple(EVENTS)
    batch, clips = data.train[:], torch.arange(55, 0, -1)
    assert torch.equal(batch.targets, torch.tensor(27 - event)[clips])
    assert torch.equal(batch.inputs["audio"][:, 3, 1], clips.float())
    assert torch.equal(batch.inputs["audio"][0, :, 0], torch.arange(10.0))
    expected = (clips / 10)[:, None, None].expand(-1, 10, 512)
    assert torch.allclose(batch.inputs["visual"], expected, atol=5e-3)


def test_segments_of_ave_have_a_background_and_lists_may_stay_as_they_are(ave):
    folder, event = ave
    prepare_dataset("ave", folder, unit="segment", duplicates=True)
    data = load_dataset("ave", unit="segment", duplicates=True)
    assert [len(x) for x in (data.train, data.val, data.test)] == [560, 290, 290]
    assert data.classes == (*EVENTS, "background")
    first = data.test[:10]
    known = 27 - event[85]
    assert first.targets.tolist() == [28, 28, *[known] * 6, 28, 28]
    assert first.inputs["audio"][:, 0].tolist() == list(range(10))
    assert first.inputs["visual"].shape == (10, 512)
    with pytest.raises(MsamError, match="clips"):
        load_dataset("ave", unit="clips")


def test_the_ten_segments_of_a_clip_have_a_label_each(ave):
    folder, event = ave
    prepare_dataset("ave", folder)  # what is prepared for the clips serves
    data = load_dataset("ave", unit="sequence")
    assert data.task == SegmentClassification(29, segments=10)
    assert data.classes == (*EVENTS, "background")
    assert data.train.targets.shape == (55, 10) and data.test.targets.shape == (29, 10)
    known = [27 - event[85], 27 - event[86]]
    assert data.test.targets[0].tolist() == [28, 28, *[known[0]] * 6, 28, 28]
    assert data.test.targets[1].tolist() == [28, 28, *[known[1]] * 2, *[28] * 6]
    assert torch.equal(data.train[:].inputs["audio"], load_dataset("ave").train[:].inputs["audio"])
    with pytest.raises(DatasetMissing, match=r"--data-options regions=True"):
        load_dataset("ave", unit="sequence", regions=True)


def test_places_are_kept_and_every_network_reads_them(ave):
    prepare_dataset("ave", ave[0], regions=True)
    data = load_dataset("ave", unit="sequence", regions=True)
    batch = data.test[:2]
    assert batch.inputs["visual"].shape == (2, 10, 512, 7, 7)
    expected = torch.tensor([85.0, 86.0])[:, None, None] / 10
    places = batch.inputs["visual"].flatten(3)  # one more at the first place, one less at the last
    assert torch.allclose(places[..., 1:48].mean(3), expected.expand(-1, 10, 512), atol=5e-3)
    assert torch.allclose(places[..., 0] - places[..., 48], torch.tensor(2.0), atol=1e-2)
    for fusion in ("late", "guided"):
        model = build_model(data, fusion, width=2)
        logits = model(batch.inputs).logits
        assert logits.shape == (2, 290) and torch.isfinite(logits).all()
        assert torch.isfinite(data.task.loss(logits, batch.targets))
    # what lies on disk is checked before a diagnostic takes its targets for classes of samples
    with pytest.raises(MsamError, match="SegmentClassification"):
        block_traces(model, data.train)
    whole = load_dataset("ave", regions=True)  # the event of the clip, from the same files
    assert build_model(whole, "guided", width=2)(batch.inputs).logits.shape == (2, 28)
    assert sample_grid(data, n=1, split="test").axes[0].get_title().startswith("background, event")


def replaced(path, key, change):
    with h5py.File(path, "r+") as file:
        array = change(file[key][()])
        del file[key]
        file[key] = array


AVE_DAMAGES = {
    "missing": (lambda f: (f / "audio_feature.h5").unlink(), r"audio_feature\.h5 is not there"),
    "truncated": (
        lambda f: (f / "visual_feature.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 500),
        r"visual_feature\.h5 cannot be opened as HDF5",
    ),
    "key": (lambda f: write(f / "val_order.h5", list=[1]), r"val_order\.h5 has no array 'order'"),
    "beyond": (lambda f: write(f / "val_order.h5", order=[1, 114]), r"names clip 114 of 114"),
    "shape": (
        lambda f: replaced(f / "audio_feature.h5", "avadataset", lambda x: x[:, :9]),
        r"audio_feature\.h5 has shape \(114, 9, 128\); expected is \(114, 10, 128\)",
    ),
    "labels": (
        lambda f: replaced(f / "labels.h5", "avadataset", lambda x: x[..., :28]),
        r"labels\.h5 has shape \(114, 10, 28\)",
    ),
    "rows": (
        lambda f: replaced(f / "labels.h5", "avadataset", lambda x: np.roll(x, 1, 0)[::-1]),
        r"in Annotations\.txt, but another event in labels\.h5",
    ),
    "annotations": (
        lambda f: (f / "data/Annotations.txt").write_text("a&b\n"),
        r"Annotations\.txt has 1 lines; expected are 114",
    ),
    "none": (lambda f: (f / "data/Annotations.txt").unlink(), r"Annotations\.txt is not there"),
}


@pytest.mark.parametrize("name", AVE_DAMAGES)
def test_damage_of_ave_is_named(ave, name):
    do, message = AVE_DAMAGES[name]
    do(ave[0])
    with pytest.raises((DatasetCorrupt, DatasetMissing), match=message):
        prepare_dataset("ave", ave[0])
