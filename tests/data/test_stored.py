"""Splits on disk: equal to the same split in memory, varied by (seed, epoch, row) alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from msam_lib import diagnostics as d
from msam_lib.data import Batch, BatchLoader, MultimodalDataset
from msam_lib.data.containers import DataSplits, Modality
from msam_lib.data.stored import StoredArray
from msam_lib.data.transforms import Images, Numbers, crop_box
from msam_lib.diagnostics._samples import collect
from msam_lib.errors import DatasetCorrupt
from msam_lib.methods import build_method
from msam_lib.models import build_model
from msam_lib.training import Loaders, Run, Trainer, evaluate

N = 23


@pytest.fixture
def pair(tmp_path):
    """The same samples on disk and in memory: bytes of images, and float16 vectors."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N, 3, 6, 6), dtype=np.uint8)
    vectors = rng.normal(size=(N, 5)).astype(np.float16)
    np.save(tmp_path / "x1.npy", images)
    np.save(tmp_path / "x2.npy", vectors)
    y = torch.arange(N) % 4
    stored = MultimodalDataset(
        {
            "x1": StoredArray(tmp_path / "x1.npy", Images(6, augment=True)),
            "x2": StoredArray(tmp_path / "x2.npy", Numbers(0.5, 2.0)),
        },
        y,
    )
    std, mean = torch.tensor([0.229, 0.224, 0.225]), torch.tensor([0.485, 0.456, 0.406])
    plain = (torch.from_numpy(images).float() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    memory = {"x1": plain, "x2": (torch.from_numpy(vectors).float() - 0.5) / 2}
    return stored, MultimodalDataset(memory, y)


def assert_same(a: Batch, b: Batch):
    assert torch.equal(a.targets, b.targets) and torch.equal(a.index, b.index)
    for m in a.inputs:
        assert a.inputs[m].dtype == torch.float32
        assert torch.allclose(a.inputs[m], b.inputs[m], atol=1e-5)


def test_a_split_on_disk_is_the_split_in_memory(pair):
    stored, memory = pair
    assert stored.on_disk and not memory.on_disk and len(stored) == N
    assert stored.sample_bytes == memory.sample_bytes == 4 * (108 + 5)
    for index in (3, slice(2, 9, 3), torch.tensor([4, 4, 0]), [7, 1]):
        assert_same(stored[index], memory[index])
    some = torch.tensor([9, 2, 17, 4])
    for a, b in ((stored.subset(some), memory.subset(some)), (stored, memory)):
        assert a.on_disk
        assert_same(a.subset([2, 0])[:], b.subset([2, 0])[:])
        for m, mean in a.mean().items():
            assert torch.allclose(mean, b.mean()[m], atol=1e-5)
    whole = [*BatchLoader(stored, 5, shuffle=True, seed=3, augment=False)]
    for a, b in zip(whole, BatchLoader(memory, 5, shuffle=True, seed=3), strict=True):
        assert_same(a, b)


def test_what_a_cell_shows_is_a_line_without_samples_or_folders(pair):
    for split in pair:
        assert repr(split) == "MultimodalDataset(23 samples: x1 (3, 6, 6), x2 (5,))"
    assert repr(pair[0].inputs["x1"]) == "StoredArray(x1.npy)"
    kinds = {"x1": Modality("image", (3, 6, 6)), "x2": Modality("vector", (5,))}
    part = pair[0].subset([1, 2])
    data = DataSplits("toy", pair[0], part, part.subset([0]), kinds, tuple("abcd"), "made up")
    assert repr(data) == (
        "DataSplits(toy, classification, 23 train, 2 val, 1 test samples: x1 (3, 6, 6), x2 (5,))"
    )


def test_evaluation_and_diagnostics_read_it_as_from_memory(pair):
    stored, memory = pair
    kinds = {"x1": Modality("image", (3, 6, 6)), "x2": Modality("vector", (5,))}
    model = build_model(kinds, "late", classes=4, width=2)
    for batch_size in (None, 7):
        for a, b in zip(
            evaluate(model, stored, batch_size=batch_size), evaluate(model, memory), strict=True
        ):
            assert a[:2] == b[:2] and a.value == pytest.approx(b.value, abs=1e-5)
    sampling = d.Sampling(samples=17, batch_size=4)
    norms, traces = [], []
    for data in pair:
        norms.append(d.gradient_norms(model, data, sampling=sampling))
        traces.append(d.block_traces(model, data, probes=2, sampling=sampling, progress=False))
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)
    for a, b in zip(*(t.values() for t in traces), strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-2, abs=1e-3)


def test_no_measurement_reads_more_than_a_batch_at_once(pair, monkeypatch):
    stored, _ = pair
    model = build_model({"x2": Modality("vector", (5,))}, "late", classes=4, width=2)
    read, sizes = StoredArray.read, []

    def recorded(self, index, draw=None):
        sizes.append(len(index))
        return read(self, index, draw)

    monkeypatch.setattr(StoredArray, "read", recorded)
    monkeypatch.setattr("msam_lib.data.loader.BLOCK", 6 * stored.sample_bytes)
    monkeypatch.setattr("msam_lib.data.stored.BLOCK", 6 * stored.sample_bytes)
    evaluate(model, stored)
    assert max(sizes) == 6 and sum(sizes) == 2 * N
    sizes.clear()
    batches = collect(model, stored, d.Sampling(batch_size=5))
    # Before it is asked for, one sample is looked at, for the type of its targets.
    assert sum(sizes) <= 2 and len(batches) == 5
    sizes.clear()
    d.gradient_norms(model, stored, sampling=d.Sampling(batch_size=5))
    assert max(sizes) == 5
    sizes.clear()
    stored.subset(range(9))  # a view
    assert not sizes


@pytest.mark.parametrize("draw", [None, (1, 2)])
def test_little_of_a_batch_is_in_memory_as_stored(tmp_path, monkeypatch, draw):
    """Where samples are kept larger than they are read, and the same as from one piece."""
    images = np.random.default_rng(0).integers(0, 256, (N, 3, 40, 50), dtype=np.uint8)
    np.save(tmp_path / "large.npy", images)
    stored = StoredArray(tmp_path / "large.npy", Images(4, augment=True))
    index, raw, sizes = torch.randperm(N), StoredArray._raw, []
    whole = stored.read(index, draw)

    def recorded(self, rows):
        sizes.append(len(rows))
        return raw(self, rows)

    monkeypatch.setattr(StoredArray, "_raw", recorded)
    monkeypatch.setattr("msam_lib.data.stored.RAW", 5 * images[0].nbytes)
    assert torch.equal(stored.read(index, draw), whole)
    assert sizes == [5, 5, 5, 5, 3]
    assert stored.read(index[:0]).shape == (0, 3, 4, 4)


def test_variation_depends_on_seed_epoch_and_row_alone(pair):
    stored, _ = pair

    def epoch(data, number, size=5, seed=0, shuffle=True):
        loader = BatchLoader(data, size, shuffle=shuffle, seed=seed, augment=True)
        loader.set_epoch(number)
        seen = {}
        for b in loader:
            seen |= dict(zip(b.index.tolist(), b.inputs["x1"], strict=True))
        return torch.stack([seen[i] for i in range(len(data))])

    first = epoch(stored, 2)
    assert torch.equal(first, epoch(stored, 2, size=3, shuffle=False))  # whatever the batches
    assert not torch.allclose(first, epoch(stored, 3))
    assert not torch.allclose(first, epoch(stored, 2, seed=1))
    some = torch.tensor([9, 2, 17])
    assert torch.equal(epoch(stored.subset(some), 2), first[some])  # whatever the subset
    assert not torch.allclose(first, stored[:].inputs["x1"])
    torch.manual_seed(5)
    state = torch.get_rng_state()
    epoch(stored, 0)
    assert torch.equal(torch.get_rng_state(), state)  # dropout's numbers stay what they were


def test_equal_samples_are_varied_differently(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(108, dtype=np.uint8).reshape(1, 3, 6, 6).repeat(8, 0))
    x = StoredArray(tmp_path / "x.npy", Images(6, augment=True)).read(torch.arange(8), (0, 0))
    assert len({tuple(sample.flatten().tolist()) for sample in x}) == 8


def test_a_loop_may_end_early_and_errors_arrive(pair, tmp_path):
    import threading

    stored, _ = pair
    for _ in BatchLoader(stored, 2):
        break
    assert not [t for t in threading.enumerate() if t.name.startswith("batches") and t.is_alive()]
    path = tmp_path / "x2.npy"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DatasetCorrupt, match="truncated"):
        list(BatchLoader(stored, 2))


def test_copies_of_samples_on_disk_are_the_samples(pair):
    from msam_lib.data.loader import Copies

    stored, _ = pair
    loader = BatchLoader(stored, 8)
    loader.copies = Copies(torch.tensor([3]), torch.tensor([[True, False]]), ("x1", "x2"))
    last = [*loader][-1]
    assert torch.equal(last.inputs["x1"][-1], stored[3].inputs["x1"])
    assert not last.inputs["x2"][-1].any()


def test_pieces_have_the_areas_and_proportions_of_the_paper():
    rng = np.random.default_rng(0)
    boxes = np.array([crop_box(120, 160, rng) for _ in range(2000)])
    top, left, h, w = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + h <= 120).all() and (left + w <= 160).all()
    area, ratio = h * w / (120 * 160), w / h
    assert area.min() > 0.07 and 0.9 < area.max() <= 1.0
    assert ratio.min() > 0.72 and ratio.max() < 1.37
    assert abs(np.log(ratio[area < 0.3]).mean()) < 0.02  # no side is preferred


def test_frames_of_a_clip_are_cut_each_for_itself():
    x = torch.arange(16 * 16, dtype=torch.uint8).view(1, 1, 1, 16, 16).repeat(2, 3, 3, 1, 1)
    images = Images(8, augment=True)
    out = images(x, [np.random.default_rng(k) for k in range(2)])
    assert out.shape == (2, 3, 3, 8, 8)
    assert not torch.equal(out[0, 0], out[0, 1]) and not torch.equal(out[0], out[1])
    assert torch.equal(images(x)[0, 0], images(x)[1, 2])


def test_what_is_no_array_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    for content in (b"", b"no array", np.lib.format.MAGIC_PREFIX):
        path.write_bytes(content)
        with pytest.raises(DatasetCorrupt, match=r"x\.npy"):
            len(StoredArray(path))
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetCorrupt, match="plain array"):
        len(StoredArray(path))


def test_a_resumed_training_with_varied_samples_equals_an_uninterrupted_one(pair, tmp_path):
    stored, _ = pair
    kinds = {"x1": Modality("image", (3, 6, 6)), "x2": Modality("vector", (5,))}
    loaders = Loaders(BatchLoader(stored, 8, shuffle=True, seed=1), {"val": stored})

    def trainer(folder):
        torch.manual_seed(0)
        model = build_model(kinds, "late", classes=4, width=2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        run = Run.create(tmp_path / folder, {}, {})
        return Trainer(
            model, build_method("joint"), loaders, optimizer=optimizer, run=run, progress=False
        )

    whole, first = trainer("a"), trainer("b")
    whole.fit(3)
    first.fit(1)
    second = trainer("b")
    second.fit(3)
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
