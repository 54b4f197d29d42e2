"""folder: anybody's table of files and numbers, its parts, and what is wrong with it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from msam_lib.cli.main import main
from msam_lib.data import BatchLoader, load_dataset
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError
from tests.data.distributions import write_csv, write_image, write_sound, write_video

CLASSES = ("cat", "dog", "owl")
N = 36


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """36 samples of three classes by six people: image, sound, video, array and numbers."""
    folder = tmp_path_factory.mktemp("own")
    rows = []
    for k in range(N):
        c = k % 3
        write_image(folder / f"{k}.jpg", 40 + 60 * c)
        write_sound(folder / f"{k}.wav", hertz=300 + 500 * c)
        write_video(folder / f"{k}.mp4", seconds=0.3, colour=30 + 60 * c)
        np.save(folder / f"{k}.npy", np.full((4, 2), c, np.float64))
        part = "test" if k >= 30 else "valid" if k >= 24 else "train"
        person = f"p{k // 6}"
        files = [f"{k}.{e}" for e in ("jpg", "wav", "mp4", "npy")]
        rows.append([*files, f"{c} {k} 1.0", CLASSES[c], part, person])
    header = ["face", "voice", "clip", "motion", "numbers", "label", "split", "person"]
    write_csv(folder / "data.csv", header, rows)
    return folder, header, rows


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path_factory.getbasetemp() / "folder-cache"))


ALL = ("face", "voice", "clip", "motion", "numbers")
SMALL = {"side": 8, "size": 8, "seconds": 0.2}


def table(made, tmp_path, change, name="t.csv"):
    """A copy of the table in the folder of the files, changed."""
    folder, header, rows = made
    rows = [list(r) for r in rows]
    header = list(header)
    change(header, rows)
    path = folder / f"{tmp_path.name}-{name}"
    write_csv(path, header, rows)
    return str(path)


def test_files_and_numbers_become_tensors(made):
    folder, *_ = made
    data = load_dataset("folder", source=str(folder / "data.csv"), modalities=ALL, **SMALL)
    assert data.classes == CLASSES
    assert [len(p) for p in (data.train, data.val, data.test)] == [24, 6, 6]
    kinds = {m: x.kind for m, x in data.modalities.items()}
    assert kinds == {
        "face": "image", "clip": "image", "voice": "spectrogram", "motion": "sequence",
        "numbers": "vector",
    }  # fmt: skip
    assert data.train.inputs["face"].transform.augment
    assert not data.test.inputs["face"].transform.augment
    batch = data.test[:]
    y = batch.targets.float()
    for m, first, step in (("face", 40, 60), ("clip", 30, 60)):
        red = batch.inputs[m][:, 0].mean((1, 2)) * 0.229 + 0.485
        assert torch.allclose(red, (first + step * y) / 255, atol=0.04)
    loudest = batch.inputs["voice"][:, 0].mean(2).argmax(1)
    assert (loudest[y == 1] > loudest[y == 0].max()).all()
    assert torch.equal(batch.inputs["motion"], y.view(-1, 1, 1).expand(-1, 4, 2))
    train = data.train[:].inputs["numbers"]
    assert torch.allclose(train[:, :2].mean(0), torch.zeros(2), atol=1e-6)
    assert torch.allclose(train[:, :2].std(0, correction=0), torch.ones(2))
    assert not train[:, 2].any()  # a constant column


@pytest.mark.parametrize("augment", [True, False])
def test_images_are_cut_and_mirrored_in_training_unless_refused(tmp_path, augment):
    ramp = np.arange(0, 256, 16, dtype=np.uint8)  # brighter to the right
    for k in range(12):
        Image.fromarray(np.broadcast_to(ramp[:, None], (16, 16, 3))).save(tmp_path / f"{k}.png")
    parts = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    rows = [[f"{k}.png", CLASSES[k % 2], parts[k]] for k in range(12)]
    write_csv(tmp_path / "t.csv", ["face", "label", "split"], rows)
    source = str(tmp_path / "t.csv")
    data = load_dataset("folder", source=source, size=16, side=16, augment=augment)
    (seen,) = BatchLoader(data.train, 8, shuffle=True)
    assert seen.inputs["face"].eq(data.test[:1].inputs["face"]).all() == (not augment)
    assert data.recipe["augment"] == augment


def test_jsonl_holds_the_same(made):
    folder, header, rows = made
    path = folder / "data.jsonl"
    lines = [dict(zip(header, r, strict=True)) for r in rows]
    for line in lines:
        line["numbers"] = [float(x) for x in line["numbers"].split()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    both = [
        load_dataset("folder", source=str(folder / f), modalities=ALL, **SMALL).test[:]
        for f in ("data.csv", "data.jsonl")
    ]
    for m in ALL:
        assert torch.equal(both[0].inputs[m], both[1].inputs[m])


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_kept_apart_and_parts_are_drawn_by_class(made, tmp_path, seed):
    def change(header, rows):
        for r in rows:
            del r[6]
        del header[6]

    source = table(made, tmp_path, change)
    options = {"source": source, "modalities": ["motion", "numbers"], "seed": seed}
    apart = load_dataset("folder", group="person", **options)
    drawn = load_dataset("folder", **options)
    for data in (apart, drawn):
        parts = [set(p.inputs["motion"].rows.tolist()) for p in (data.train, data.val, data.test)]
        assert sum(map(len, parts)) == len(set().union(*parts)) == N
        people = [{i // 6 for i in part} for part in parts]
        assert (sum(map(len, people)) == 6) == (data is apart)
    counts = torch.bincount(drawn.test.targets)
    assert counts.tolist() == [2, 2, 2]


def test_a_changed_file_is_decoded_again(made, tmp_path):
    folder, *_ = made
    source = table(made, tmp_path, lambda header, rows: None)
    load = {"source": source, "modalities": ["motion"]}
    before = load_dataset("folder", **load).test.inputs["motion"][:]
    np.save(folder / "35.npy", np.full((4, 2), 9.0, np.float32))
    after = load_dataset("folder", **load).test.inputs["motion"][:]
    np.save(folder / "35.npy", np.full((4, 2), 2.0))
    assert after[-1].eq(9).all() and torch.equal(before[:-1], after[:-1])


def test_one_command_trains(made, tmp_path, capsys):
    arguments = ["--dataset", "folder", "--source", str(made[0] / "data.csv")]
    arguments += ["--modalities", "face", "voice", "--encoder", "mlp", "--store", str(tmp_path)]
    options = ["--data-options", *(f"{k}={v}" for k, v in SMALL.items())]
    assert main(["train", "--preset", "smoke", "--epochs", "1", *arguments, *options]) == 0
    assert "voice" in capsys.readouterr().out


def renamed(old, new):
    return lambda header, rows: header.__setitem__(header.index(old), new)


def cell(column, value, row=0):
    return lambda header, rows: rows[row].__setitem__(header.index(column), value)


WRONG = {
    "column": (renamed("label", "class"), DatasetCorrupt, r"has no column 'label'; its header is"),
    "modality": (renamed("voice", "sound"), DatasetCorrupt, r"has no column 'voice'"),
    "file": (cell("face", "none.jpg", 5), DatasetMissing, r"none\.jpg is not there"),
    "ending": (cell("face", "none.doc"), MsamError, r"ending '\.doc' are not read; .*\.jpg"),
    "image": (cell("face", "data.jpg", 3), DatasetMissing, r"data\.jpg"),
    "number": (cell("numbers", "1 x 3", 7), DatasetCorrupt, r"'1 x 3' in column 'numbers'"),
    "length": (cell("numbers", "1 2", 7), DatasetCorrupt, r"shape \(2,\) where \(3,\)"),
    "part": (
        cell("split", "tset"),
        MsamError,
        r"Unknown part of the data .tset",
    ),
    "class": (cell("label", "emu"), DatasetCorrupt, r"val part of 6 samples has no sample of emu"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(made, tmp_path, name):
    change, error, message = WRONG[name]
    source = table(made, tmp_path, change)
    with pytest.raises(error, match=message):
        load_dataset("folder", source=source, modalities=["face", "voice", "numbers"], **SMALL)


def test_a_table_is_needed(made, tmp_path):
    with pytest.raises(MsamError, match=r"--source data\.csv"):
        load_dataset("folder")
    with pytest.raises(MsamError, match="csv or jsonl"):
        load_dataset("folder", source=str(tmp_path / "x.xlsx"))
    path = tmp_path / "x.jsonl"
    path.write_text('{"label": "a", "x": 1}\n{"label": "a"}\n')
    with pytest.raises(DatasetCorrupt, match="line 2"):
        load_dataset("folder", source=str(path))
