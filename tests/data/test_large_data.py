"""The measurement of memory: what it watches, and that the library reads the data it makes."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import pytest

from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.errors import MsamError
from tools.large_data import MB, on_disk, watched
from tools.large_files import CLASSES, LEAST, make_ave, make_sparse, make_whole

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the kernel does not say what is anonymous"
)


def test_anonymous_and_mapped_memory_are_told_apart(tmp_path):
    (tmp_path / "file").write_bytes(bytes(90 * MB))
    own = "x = bytearray(b'1') * 120_000_000; time.sleep(0.3); del x"
    mapped = (
        f"f = open({str(tmp_path / 'file')!r}, 'rb');"
        "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); sum(m[::4096]); time.sleep(0.3)"
    )
    peaks = [
        watched([sys.executable, "-c", f"import mmap, time; {code}"], tmp_path / "log")
        for code in ("time.sleep(0.1)", own, mapped)
    ]
    nothing, first, second = peaks
    assert 110 < (first.anonymous - nothing.anonymous) / MB < 135
    assert abs(first.mapped - nothing.mapped) < 10 * MB
    assert 80 < (second.mapped - nothing.mapped) / MB < 110
    assert abs(second.anonymous - nothing.anonymous) < 10 * MB
    assert second.high_water > 80 * MB and first.seconds > 0.3


def test_a_command_that_fails_is_reported_with_what_it_printed(tmp_path):
    with pytest.raises(MsamError, match="no such thing"):
        watched([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "log")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)
    return tmp_path


def test_made_features_take_no_room_and_are_prepared(place):
    make_ave(place / "source", 28 * 45)
    length, room = on_disk(place / "source")
    assert length > 1260 * MB and room < 10 * MB
    with h5py.File(place / "source" / "visual_feature.h5") as file:
        assert not file["avadataset"][279].any()
    prepare_dataset("ave", place / "source")
    data = load_dataset("ave")
    assert [len(part) for part in (data.train, data.val, data.test)] == [140, 560, 560]


def test_made_holes_are_read_as_a_prepared_folder(place, monkeypatch):
    make_sparse(place / "cache", LEAST)
    length, room = on_disk(place / "cache")
    assert length > 1900 * MB and room < 5 * MB
    data = load_dataset("kinetics_sounds", frames=1, side=1024, size=8, val_share=0.5)
    assert data.train[:2].inputs["visual"].shape == (2, 3, 8, 8)
    assert min(len(part) for part in (data.train, data.val, data.test)) >= 155


def test_made_clips_are_prepared_whole(place):
    make_whole(place / "source", 6 * CLASSES)
    options = {"frames": 1, "side": 16}
    done = prepare_dataset("kinetics_sounds", place / "source", jobs=2, **options)
    length, room = on_disk(done.folder)
    assert len(done.samples) == 186 and room > 0.9 * length > 30 * MB
