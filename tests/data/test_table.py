"""table: a cohort of csv files joined by an id."""

from __future__ import annotations

import pytest
import torch

from msam_lib.data import load_dataset, table
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError
from tests.data.distributions import write_csv

N = 60
STATES = ("CN", "MCI", "AD")


@pytest.fixture
def made(tmp_path):
    """60 visits of 20 people, three states; visit 59 has no volumes, visit 999 nothing else."""
    folder = tmp_path / "cohort"
    labels = [[k, STATES[k % 3], f"p{k // 3}"] for k in range(N)]
    clinical = [[k, 60 + k, "MF"[k // 3 % 2], "" if k % 4 == 0 else k] for k in reversed(range(N))]
    volumes = [[k, 3.0 * k, 7.5] for k in range(N - 1)] + [[999, 1, 1]]
    write_csv(folder / "labels.csv", ["id", "label", "person"], labels)
    write_csv(folder / "clinical.csv", ["id", "age", "sex", "protein"], clinical)
    write_csv(folder / "mri.csv", ["id", "hippocampus", "constant"], volumes)
    return folder


def test_tables_are_joined_standardised_and_filled(made):
    data = load_dataset("table", source=str(made))
    assert (
        data.classes == ("AD", "CN", "MCI") and "2 others are not in all files" in data.provenance
    )
    assert "clinical: age, sex, protein; mri: hippocampus, constant" in data.provenance
    shapes = {m: x.shape for m, x in data.modalities.items()}
    assert shapes == {"clinical": (5,), "mri": (2,)}  # age, F, M, protein, missing
    sizes = [len(x) for x in (data.train, data.val, data.test)]
    assert sum(sizes) == N - 1 and min(sizes) >= 8
    x, train = data.train[:].inputs, data.train
    assert torch.allclose(x["clinical"].mean(0), torch.zeros(5), atol=1e-5)
    assert torch.allclose(x["clinical"].std(0, correction=0), torch.ones(5), atol=1e-5)
    assert not x["mri"][:, 1].any()
    # Ages and volumes come from the same visit, whatever the order of the files.
    for part in (data.train, data.val, data.test):
        age, volume = part[:].inputs["clinical"][:, 0], part[:].inputs["mri"][:, 0]
        assert torch.allclose(age, volume, atol=1e-4)
    missing = x["clinical"][:, 4] > 0
    assert 0 < missing.float().mean() < 1
    assert torch.allclose(x["clinical"][missing, 3], torch.zeros(int(missing.sum())), atol=1e-5)
    assert (x["clinical"][:, 1] * x["clinical"][:, 2] < 0).all() and len(train) == sizes[0]


def test_people_are_kept_apart_and_given_parts_are_taken(made):
    data = load_dataset("table", source=str(made), group="person", modalities=["mri"])
    visit = {}
    for p in ("train", "val", "test"):
        x = getattr(data, p)[:].inputs["mri"][:, 0]
        visit[p] = x
    merged = torch.cat(list(visit.values()))
    step = merged.sort().values.diff().median()
    people = {p: {int(v) for v in ((x - merged.min()) / step / 3 + 1e-3).floor()}
              for p, x in visit.items()}  # fmt: skip
    assert not people["train"] & people["test"] and not people["train"] & people["val"]
    rows = [[k, STATES[k % 3], "test" if k >= 40 else "dev" if k >= 30 else "train"]
            for k in range(N)]  # fmt: skip
    write_csv(made / "labels.csv", ["id", "label", "split"], rows)
    data = load_dataset("table", source=str(made))
    assert [len(x) for x in (data.train, data.val, data.test)] == [30, 10, 19]


def test_scores_that_tell_a_diagnosis_are_refused(made):
    rows = [[k, k % 3, 70 + k, k % 2] for k in range(N)]
    write_csv(made / "clinical.csv", ["id", "MMSE_bl", "age", "CDRSB"], rows)
    with pytest.raises(
        MsamError, match=r"clinical\.csv: the columns MMSE_bl, CDRSB .*leaks='drop'"
    ):
        load_dataset("table", source=str(made))
    columns = {
        leaks: load_dataset("table", source=str(made), leaks=leaks).recipe["columns"]["clinical"]
        for leaks in ("drop", "keep")
    }
    assert columns == {"drop": ["age"], "keep": ["MMSE_bl", "age", "CDRSB"]}
    with pytest.raises(MsamError, match="maybe"):
        load_dataset("table", source=str(made), leaks="maybe")


def test_other_content_is_another_data_set(made):
    one = load_dataset("table", source=str(made)).recipe
    path = made / "mri.csv"
    path.write_text(path.read_text().replace("7.5", "7.25", 1))
    assert load_dataset("table", source=str(made)).recipe != one


WRONG = {
    "no labels": (lambda f: (f / "labels.csv").unlink(), DatasetMissing, r"labels\.csv is not"),
    "no ids": (
        lambda f: write_csv(f / "mri.csv", ["subject", "x"], [[1, 2]]),
        DatasetCorrupt,
        r"mri\.csv has no column 'id'",
    ),
    "twice": (
        lambda f: write_csv(f / "mri.csv", ["id", "x"], [[1, 2], [1, 3]]),
        DatasetCorrupt,
        r"mri\.csv has id '1' more than once",
    ),
    "other ids": (
        lambda f: write_csv(f / "mri.csv", ["id", "x"], [[-1, 2]]),
        DatasetCorrupt,
        r"No 'id' of .*labels\.csv is in all of clinical, mri",
    ),
    "texts": (
        lambda f: write_csv(f / "mri.csv", ["id", "note"], [[k, f"text {k}"] for k in range(N)]),
        DatasetCorrupt,
        r"column 'note' has 4\d different texts, such as 'text \d+'",
    ),
    "nothing": (
        lambda f: write_csv(f / "mri.csv", ["id"], [[k] for k in range(N)]),
        DatasetCorrupt,
        r"mri\.csv has no column left",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(made, name, monkeypatch):
    do, error, message = WRONG[name]
    monkeypatch.setattr(table, "WORDS", 20)
    do(made)
    with pytest.raises(error, match=message):
        load_dataset("table", source=str(made))
    with pytest.raises(MsamError, match="--source cohort"):
        load_dataset("table")


def test_a_part_without_a_class_is_named(made):
    rows = [[k, STATES[k % 3], "test" if k % 3 else "train"] for k in range(N)]
    write_csv(made / "labels.csv", ["id", "label", "split"], rows)
    with pytest.raises(DatasetCorrupt, match=r"The train part of cohort .* none of AD, MCI"):
        load_dataset("table", source=str(made))
