"""cremad on a folder in the official layout, with real flv and wav files."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.data import cremad, load_dataset, prepare_dataset
from msam_lib.data._cremad_source import COUNTS, EMOTIONS, KNOWN_BAD, test_clips
from msam_lib.data.media import read_frames
from msam_lib.data.prepared import sha256_of
from tests.data.distributions import (
    cremad_names,
    make_cremad,
    write_video,
)

PUBLISHED = test_clips  # not collected as a test
del test_clips
SMALL = {"side": 12, "size": 8}


def test_the_published_test_clips_have_the_published_counts():
    clips = PUBLISHED()
    counts = Counter(name.split("_")[2] for name in clips)
    expected = {"SAD": 140, "FEA": 133, "DIS": 129, "HAP": 123, "NEU": 114, "ANG": 105}
    assert len(clips) == 744 and counts == expected
    assert sum(COUNTS.values()) == 7442 and not clips & set(KNOWN_BAD)


def test_tensors_classes_and_splits(prepared):
    data = load_dataset("cremad", **SMALL)
    assert data.modalities["audio"].shape == (1, 257, 188)
    assert data.modalities["visual"].shape == (3, 8, 8)
    assert data.classes == ("neutral", "happy", "sad", "fear", "disgust", "anger")
    assert [len(p) for p in (data.train, data.val, data.test)] == [42, 6, 12]
    batch = data.test[:]
    # The made clips of a class have its red value and its pitch.
    red = batch.inputs["visual"][:, 0].mean((1, 2)) * 0.229 + 0.485
    assert torch.allclose(red, 30 * batch.targets / 255, atol=0.04)
    pitch = batch.inputs["audio"][:, 0].mean(2)[:, 2:].argmax(1) + 2
    assert torch.allclose(pitch * 22_050 / 512, 200 + 300 * batch.targets.float(), atol=50)
    assert torch.isfinite(batch.inputs["audio"]).all()
    # Only training frames are cut, and only while training.
    assert data.train.inputs["visual"].transform.augment
    assert not data.val.inputs["visual"].transform.augment


def test_speakers_are_kept_apart_where_all_are_there():
    rows = [
        {"name": f"{1001 + a}_IEO_{e}_{level}", "label": e, "actor": str(1001 + a)}
        for a in range(91)
        for e in EMOTIONS
        for level in ("LO", "HI")
    ]
    parts = cremad.split_clips(rows, "actor", 0.12, seed=0)
    actors = {p: {rows[i]["actor"] for i in index} for p, index in parts.items()}
    assert {p: len(a) for p, a in actors.items()} == {"train": 64, "val": 9, "test": 18}
    assert sum(map(len, actors.values())) == len(set().union(*actors.values())) == 91
    assert actors != {
        p: {rows[i]["actor"] for i in index}
        for p, index in cremad.split_clips(rows, "actor", 0.12, seed=1).items()
    }


def test_published_test_clips_never_train_or_validate(clips_cache):
    folder = next((clips_cache / "prepared").glob("cremad-*[0-9a-f]"))
    samples = list(csv.DictReader((folder / "samples.csv").open()))
    parts = cremad.split_clips(samples, "ogm", 0.2, seed=4)
    named = {p: {samples[i]["name"] for i in rows} for p, rows in parts.items()}
    assert named["test"] == PUBLISHED() & {s["name"] for s in samples}
    assert not named["train"] & named["val"] and not named["train"] & named["test"]
    assert len(named["val"]) == 12  # a fifth of every class


def test_people_are_right_where_they_named_the_acted_emotion(prepared):
    # Anger is always heard; of the five others, half a vote each.
    people = load_dataset("cremad", **SMALL).people
    assert people == {"audio": pytest.approx((1 + 5 / 2) / 6), "visual": 1.0, "fused": 1.0}


def test_a_short_sound_is_repeated_and_silence_is_silent():
    rng = np.random.default_rng(0)
    sound = rng.uniform(-0.5, 0.5, 22_050).astype(np.float32)
    whole = cremad.spectrogram(np.tile(sound, 3), 22_050)
    assert np.allclose(cremad.spectrogram(sound, 22_050), whole)
    assert np.allclose(cremad.spectrogram(np.tile(sound, 5), 22_050), whole)
    assert np.allclose(cremad.spectrogram(np.zeros(1, np.float32), 16_000), np.log(1e-7))
    # By the definition: frame 50 is centred on sample 50 * 353.
    padded = np.pad(np.tile(sound, 3), 256)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    for frame in (0, 50):
        piece = padded[frame * 353 :][:512]
        direct = np.log(np.abs(np.fft.rfft(piece * hann)) + 1e-7)
        assert np.allclose(whole[0, :, frame], direct, atol=1e-3)


def test_frames_are_those_of_whole_seconds(tmp_path):
    path = tmp_path / "x.flv"
    write_video(path, seconds=2.5, fps=10, colour=20)
    red = read_frames(path, 4, 24, 32)[:, 0].mean((1, 2))
    # Frames 0, 10 and 20 of red 20 + 2k; the third is repeated.
    assert np.allclose(red, [20, 40, 60, 60], atol=5)


def test_a_clip_named_as_damaged_is_silent_or_grey_or_left_out(few):
    folder, names = few
    bad = KNOWN_BAD[1]
    names = cremad_names()
    source = make_cremad(folder, [*names, bad])
    (source / "VideoFlash" / f"{bad}.flv").write_bytes(b"FLV")
    done = prepare_dataset("cremad", source, side=12)
    assert (np.load(done.folder / "replaced.npy") == [0] * len(names) + [2]).all()
    assert (np.load(done.folder / "visual.npy")[-1] == 128).all()
    counts = {}
    for drop in (False, True):
        data = load_dataset("cremad", **SMALL, drop_bad=drop)
        counts[drop] = len(data.train) + len(data.val) + len(data.test)
        assert "1 of the clips" in data.provenance
    assert counts == {False: len(names) + 1, True: len(names)}


def test_an_interrupted_preparation_resumes_and_equals_an_uninterrupted_one(
    clips, clips_cache, tmp_path, monkeypatch
):
    from msam_lib.data import prepared

    monkeypatch.setattr(prepared, "BLOCK", 16)
    read, names = cremad.read_sound, []

    def counted(path):
        names.append(path.stem)
        if len(names) == 41:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(cremad, "read_sound", counted)
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset("cremad", clips, tmp_path, side=12)
    names.extend([""] * 100)  # beyond the interruption
    before = len(names)
    done = prepare_dataset("cremad", clips, tmp_path, side=12)
    assert len(names) - before == 60 - 32  # two whole blocks were kept
    first = clips_cache / "prepared" / done.folder.name
    for file in done.manifest["files"]:
        assert sha256_of(done.folder / file) == sha256_of(first / file)
    assert not [p for p in (tmp_path / "prepared").iterdir() if p.name.endswith(".partial")]
    prepare_dataset("cremad", clips, tmp_path, side=12)
    assert len(names) - before == 60 - 32  # nothing is decoded twice


def test_one_command_prepares_and_one_trains(prepared, tmp_path, capsys):
    options = ["--data-options", "side=12", "size=8"]
    arguments = ["--dataset", "cremad", "--method", "msam", "--store", str(tmp_path), *options]
    assert (
        main(["train", "--preset", "smoke", "--epochs", "1", "--encoder", "mlp", *arguments]) == 0
    )
    out = capsys.readouterr().out
    assert "people  58.33" in out and "cremad-late-msam-s0" in out


@pytest.mark.skipif("MSAM_DATA" not in os.environ, reason="needs MSAM_DATA, a data folder")
def test_the_real_names_and_votes():
    archive = Path(os.environ["MSAM_DATA"]) / "cremad_ratings" / "CREMA-D_ratings_csv.zip"
    with zipfile.ZipFile(archive) as files:
        text = files.read("processedResults/summaryTable.csv").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    votes = {"audio": "VoiceVote", "visual": "FaceVote", "fused": "MultiModalVote"}
    samples = [
        {
            "name": r["FileName"],
            "label": r["FileName"].split("_")[2],
            "actor": r["FileName"][:4],
            **{m: r[v] for m, v in votes.items()},
        }
        for r in rows
    ]
    parts = cremad.split_clips(samples, "ogm", 0.1, seed=0)
    assert len(parts["train"]) + len(parts["val"]) == 6698 and len(parts["test"]) == 744
    assert abs(len(parts["val"]) - 670) <= 3
    assert Counter(s["label"] for s in samples) == COUNTS
    people = cremad.people(samples)
    assert people["audio"] < people["visual"] < people["fused"]
