"""mimic from a small folder in DrFuse's layout, and what damaged files are called."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.data._radiographs import Radiographs
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError
from tests.data.distributions import write_csv, write_image

PHENOTYPES = [f"disease {k}" for k in range(25)]
SMALL = {"side": 16}
STATS = """\
heart_rate: {iqr: 4.0, max: 9, mean: 1, median: 2.0, min: 0, normalize: true, std: 1}
age: {iqr: 10.0, max: 9, mean: 1, median: 60.0, min: 0, normalize: false, std: 1}
constant: {iqr: 0.0, max: 5, mean: 5, median: 5.0, min: 5, normalize: true, std: 0}
unused: {iqr: 1.0, max: 1, mean: 1, median: 1.0, min: 1, normalize: true, std: 1}
"""
HEADER = ["stay_id", "subject_id", "icu_mortality", "valid_cxrs", "los", *PHENOTYPES, "end"]
NUMBERS = {"train": 24, "val": 8, "test": 9}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mimic")
    (folder / "cxr").mkdir()
    stay = 100
    for part, n in NUMBERS.items():
        rows = []
        for k in range(n):
            images = f"[('old', Timestamp('2100-01-01 00:00:00')), ('x{stay}', Timestamp('2101'))]"
            cxrs = "[]" if k == 2 else "" if k == 3 else images
            labels = [int((k + p) % 5 == 0) for p in range(25)]
            rows.append([stay, (stay + 1) // 2, k % 2, cxrs, 1, *labels, "z"])
            # Steps in another order, a gap at the beginning and in the middle.
            series = [[1, "", 70, 5, 1, 0], [0, "", "", 5, 0, 0], [2, 10, 71, 5, 1, 1]]
            series += [[t, "", 71, 5, 0, 1] for t in range(3, 4 + 7 * k % 60)]
            header = ["time_step", "heart_rate", "age", "constant", "mask_a", "mask_b"]
            write_csv(folder / "time_series" / f"{stay}.csv", header, series)
            if k not in (2, 3):
                write_image(folder / "cxr" / f"x{stay}.jpg", 90, size=(24, 30))
            stay += 1
        write_csv(folder / "splits" / "fold1" / f"stays_{part}.csv", HEADER, rows)
    (folder / "splits" / "fold1" / "train_stats.yaml").write_text(STATS)
    return folder


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)
    return shutil.copytree(made, tmp_path / "mimic")


def test_the_published_preprocessing(copy):
    prepare_dataset("mimic", copy, **SMALL)
    data = load_dataset("mimic", **SMALL, size=14)
    assert {p: len(getattr(data, p)) for p in NUMBERS} == {"train": 22, "val": 6, "test": 7}
    assert "2 of 21 patients have stays in several parts" in data.provenance
    x = data.train[:].inputs["ehr"]
    assert x.shape == (22, 48, 5)
    # (10 - 2) / 4 from the third step on; age is not scaled; a constant feature becomes 0.
    assert x[0, :4].tolist() == [
        [0, 60, 0, 0, 0], [0, 70, 0, 1, 0], [2, 71, 0, 1, 1], [2, 71, 0, 0, 1],
    ]  # fmt: skip
    assert not x[0, 4:].any()  # a stay of four hours
    assert x[5, -1].tolist() == [2, 71, 0, 0, 1]  # of 53 hours
    grey = data.test[:].inputs["cxr"]
    assert grey.shape == (7, 3, 14, 14)
    red = grey[:, 0] * 0.229 + 0.485
    assert torch.allclose(red, torch.full_like(red, 90 / 255), atol=0.02)


def test_25_labels_or_one(copy):
    prepare_dataset("mimic", copy, **SMALL)
    data = load_dataset("mimic", **SMALL, size=8)
    kept = [k for k in range(24) if k not in (2, 3)]
    expected = torch.tensor([[float((k + p) % 5 == 0) for p in range(25)] for k in kept])
    assert torch.equal(data.train.targets, expected) and data.classes == tuple(PHENOTYPES)
    assert data.task.prevalence == pytest.approx(expected.double().mean(0).tolist())
    death = load_dataset("mimic", **SMALL, size=8, task="mortality")
    assert death.train.targets[:, 0].tolist() == [k % 2 for k in kept]
    assert death.classes == ("mortality",) and death.task.labels == 1
    with pytest.raises(MsamError, match="mortalty"):
        load_dataset("mimic", **SMALL, task="mortalty")


def test_one_command_prepares_and_one_trains(copy, tmp_path, capsys):
    small = ["--data-options", "side=16"]
    assert main(["prepare", "mimic", "--source", str(copy), *small]) == 0
    options = ["--data-options", "side=16", "size=8", "--store", str(tmp_path / "runs")]
    assert (
        main(["train", "--dataset", "mimic", "--preset", "smoke", "--epochs", "1", *options]) == 0
    )
    assert "ehr" in capsys.readouterr().out


def test_radiographs_keep_the_middle_and_vary_in_training_only():
    ramp = torch.arange(64, dtype=torch.uint8).expand(64, 64)
    raw = torch.stack([ramp, ramp.T])[:, None]
    still, moving = Radiographs(56), Radiographs(56, augment=True)
    plain = still(raw)
    seen = (plain[0, 0, 5] * 0.229 + 0.485) * 255
    assert torch.allclose(seen, torch.arange(4.0, 60), atol=1e-2)  # 4 pixels less on each side
    assert torch.equal(moving(raw), plain)

    def draws(seed):
        return [np.random.default_rng([seed, k]) for k in range(2)]

    one = moving(raw, draws(0))
    assert torch.equal(one, moving(raw, draws(0))) and not torch.equal(one, moving(raw, draws(1)))
    assert torch.equal(still(raw, draws(0)), plain)
    # A ramp stays a ramp: its slope per pixel is one over the scale, in whatever direction.
    many = moving(raw[:1].repeat(50, 1, 1, 1), [np.random.default_rng(k) for k in range(50)])
    middle = (many[:, 0, 26:30, 26:30] * 0.229 + 0.485) * 255
    down, right = middle.diff(dim=1)[:, 1, 1], middle.diff(dim=2)[:, 1, 1]
    slope = torch.hypot(down, right)
    assert 1 / 1.15 - 1e-3 < slope.min() < 0.9 and 1.1 < slope.max() < 1 / 0.85 + 1e-3
    assert (down / right).atan().abs().max() < np.pi / 4 + 1e-3
    # White stays white where the image reaches, whatever the rotation, and corners become black.
    white = torch.full((50, 1, 64, 64), 255, dtype=torch.uint8)
    seen = moving(white, [np.random.default_rng(k) for k in range(50)])[:, 0] * 0.229 + 0.485
    assert torch.allclose(seen[:, 26:30, 26:30], torch.ones(50, 4, 4), atol=1e-4)
    assert seen.min() < 1e-4


def edited(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


LIST, STATS_FILE = "splits/fold1/stays_val.csv", "splits/fold1/train_stats.yaml"
DAMAGES = {
    "no list": (lambda f: (f / LIST).unlink(), r"stays_val\.csv is not there.*DrFuse"),
    "no image": (lambda f: (f / "cxr/x105.jpg").unlink(), r"x105\.jpg is not there \(1 of 35"),
    "truncated image": (
        lambda f: (f / "cxr/x105.jpg").write_bytes((f / "cxr/x105.jpg").read_bytes()[:300]),
        r"x105\.jpg is not an image",
    ),
    "no series": (
        lambda f: (f / "time_series/107.csv").unlink(),
        r"107\.csv is not there, but stay 107 is in a list",
    ),
    "empty series": (
        lambda f: (f / "time_series/107.csv").write_text(
            "time_step,heart_rate,age,constant,mask_a,mask_b\n"
        ),
        r"107\.csv has no time steps",
    ),
    "words": (
        lambda f: edited(f / "time_series/107.csv", "10", "ten"),
        r"107\.csv: could not convert string to float: 'ten'",
    ),
    "columns": (
        lambda f: edited(f / "time_series/107.csv", "heart_rate", "pulse"),
        r"107\.csv has no column 'heart_rate'",
    ),
    "label": (
        lambda f: edited(f / LIST, ',0,"z"', ',7,"z"'),
        r"stays_val\.csv, line 2, disease 24: the label is '7'",
    ),
    "images": (lambda f: edited(f / LIST, "[('old'", "[('old"), r"line 2: valid_cxrs is"),
    "statistics": (
        lambda f: edited(f / STATS_FILE, "median: 2.0", "middle: 2.0"),
        r"train_stats\.yaml cannot be read \('median'\)",
    ),
    "short list": (
        lambda f: write_csv(f / LIST, HEADER[:4], [[1, 1, 0, "[]"]]),
        r"has 4 columns; its last 26 must be",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(copy, name):
    do, message = DAMAGES[name]
    do(copy)
    with pytest.raises((DatasetCorrupt, DatasetMissing), match=message):
        prepare_dataset("mimic", copy, **SMALL)


def test_a_label_that_never_occurs_is_named(copy):
    table = copy / "splits/fold1/stays_train.csv"
    table.write_text(table.read_text().replace(',1,"z"', ',0,"z"'))
    prepare_dataset("mimic", copy, **SMALL)
    with pytest.raises(DatasetCorrupt, match=r"'disease 24' is off in all 22 training stays"):
        load_dataset("mimic", **SMALL)
    with pytest.raises(DatasetMissing, match="--data-options fold=2 side=16"):
        load_dataset("mimic", **SMALL, fold=2)
