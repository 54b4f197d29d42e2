"""What is damaged is refused with the file's name, what is wrong with it, and what to do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.data._cremad_source import check_digest
from msam_lib.data.prepared import sha256_of
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError
from tests.data.distributions import cremad_names, make_cremad, write_sound

SMALL = {"side": 12, "size": 8}


def damaged(few, do):
    folder, names = few
    do(folder, names[0])
    with pytest.raises(MsamError) as error:
        prepare_dataset("cremad", folder, side=12)
    return f"{type(error.value).__name__}: {error.value}"


def replace_in(path: Path, old: str, new: str):
    path.write_text(path.read_text().replace(old, new))


def cut(path: Path, share: float):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
DAMAGES = {
    "missing sound": (
        lambda f, n: (f / "AudioWAV" / f"{n}.wav").unlink(),
        r"DatasetMissing: .*AudioWAV.*is not there \(1 of 24 .*Git LFS",
    ),
    "pointer": (
        lambda f, n: (f / "VideoFlash" / f"{n}.flv").write_text(POINTER),
        r"DatasetMissing: .*flv is a Git LFS pointer .*git lfs pull.*\(1 of 24",
    ),
    "truncated video": (
        lambda f, n: cut(f / "VideoFlash" / f"{n}.flv", 0.6),
        r"DatasetCorrupt: .*flv is truncated: it is 1\.20 s long by its header",
    ),
    "no video": (
        lambda f, n: (f / "VideoFlash" / f"{n}.flv").write_bytes(b"x" * 2000),
        r"DatasetCorrupt: .*flv cannot be decoded as a video",
    ),
    "wrong header": (
        lambda f, n: replace_in(f / "SentenceFilenames.csv", "Filename", "File"),
        r"DatasetCorrupt: .*SentenceFilenames\.csv has no column 'Filename'; its header is",
    ),
    "wrong header of the votes": (
        lambda f, n: replace_in(f / "processedResults/summaryTable.csv", "VoiceVote", "V"),
        r"DatasetCorrupt: .*summaryTable\.csv has no column 'VoiceVote'",
    ),
    "empty sound file": (
        lambda f, n: (f / "AudioWAV" / f"{n}.wav").write_bytes(b""),
        r"DatasetCorrupt: .*wav is empty \(0 bytes\)",
    ),
    "sound without samples": (
        lambda f, n: soundfile.write(f / "AudioWAV" / f"{n}.wav", np.zeros(0), 16_000),
        r"DatasetCorrupt: .*wav holds no sound",
    ),
    "unknown emotion": (
        lambda f, n: replace_in(f / "SentenceFilenames.csv", "_NEU_", "_JOY_"),
        r"DatasetCorrupt: .*_JOY_XX', which names no known emotion: .*NEU, HAP",
    ),
    "not the folder": (
        lambda f, n: (f / "SentenceFilenames.csv").unlink(),
        r"DatasetMissing: .*is not CREMA-D's folder\. Clone https",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_distribution_is_refused_with_the_file_and_what_to_do(few, name):
    do, message = DAMAGES[name]
    text = damaged(few, do)
    assert re.match(message, text), text


def test_a_missing_class_is_named_and_other_samples_are_not_taken_for_these(few, clips):
    folder, _ = few
    prepare_dataset("cremad", folder, side=12)
    with pytest.raises(DatasetCorrupt, match=r"prepared from other samples \(12; now 60\)"):
        prepare_dataset("cremad", clips, side=12)
    with pytest.raises(DatasetCorrupt, match=r"val part of split='ogm' has no clip of NEU"):
        load_dataset("cremad", **SMALL)


def test_a_damaged_or_missing_cache_names_the_command(prepared, clips_cache, tmp_path, monkeypatch):
    with pytest.raises(DatasetMissing, match=r"prepare cremad --source FOLDER --data-options fra"):
        load_dataset("cremad", **SMALL, frames=3)
    copy = tmp_path / "copy"
    shutil.copytree(clips_cache, copy)
    monkeypatch.setenv("MSAM_CACHE", str(copy))
    load_dataset("cremad", **SMALL)
    path = next((copy / "prepared").glob("cremad-*/visual.npy"))
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(DatasetCorrupt, match=r"visual\.npy has \d+ bytes .*prepare cremad"):
        load_dataset("cremad", **SMALL)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DatasetCorrupt, match="another sha256"):
        prepare_dataset("cremad", make_cremad(tmp_path / "s", cremad_names()), side=12)


def test_a_file_other_than_the_published_is_refused(tmp_path):
    (tmp_path / "AudioWAV").mkdir()
    path = tmp_path / "AudioWAV" / "x.wav"
    write_sound(path)
    check_digest(path, {"AudioWAV/x.wav": sha256_of(path)})
    with pytest.raises(DatasetCorrupt, match="not the published file"):
        check_digest(path, {"AudioWAV/x.wav": "0" * 64})
