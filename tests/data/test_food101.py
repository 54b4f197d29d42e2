"""food101 from a small folder in the published layout, with real JPEG files."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from msam_lib.cli.main import main
from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.data._texts import VOCABULARY, characters, hashed_words
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError
from tests.data.distributions import write_csv

DISHES = ("apple_pie", "sushi")
HEADER = ["Image_path", "text", "label"]
SMALL = {"side": 16, "words": 64}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """120 pictures, grey as their number, with a wide red border that cutting removes."""
    folder = tmp_path_factory.mktemp("food")
    for part, n in (("train", 80), ("test", 40)):
        rows = []
        for k in range(n):
            dish = DISHES[k % 2]
            path = folder / "images" / part / dish / f"{dish}_{k}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((24, 48, 3), (255, 0, 0), np.uint8)
            pixels[:, 12:36] = 100 + k
            Image.fromarray(pixels).save(path, quality=95, subsampling=0)
            rows.append([path.name, f'The best "{dish.replace("_", " ")}", ever: No. {k}', dish])
        write_csv(folder / "texts" / f"{part}_titles.csv", HEADER, rows)
    return folder


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)
    return shutil.copytree(made, tmp_path / "food")


def test_pictures_and_titles(copy):
    options = ["--data-options", "side=16", "words=64"]
    assert main(["prepare", "food101", "--source", str(copy), *options]) == 0
    data = load_dataset("food101", **SMALL, size=16)
    assert [len(x) for x in (data.train, data.val, data.test)] == [74, 6, 40]
    assert data.classes == DISHES and "0 pictures could not be decoded" in data.provenance
    batch = data.test[:]
    assert batch.targets.tolist() == [0, 1] * 20
    grey = (batch.inputs["visual"][:, 0, :, 2:-2].mean((1, 2)) * 0.229 + 0.485) * 255
    assert torch.allclose(grey, 100 + torch.arange(40.0), atol=1.5)
    expected = hashed_words('The best "sushi", ever: No. 1', 64)
    assert np.allclose(batch.inputs["text"][1], expected, atol=1e-3)
    assert data.train.inputs["visual"].transform.augment
    assert not data.val.inputs["visual"].transform.augment
    other = load_dataset("food101", **SMALL, seed=1)
    assert not torch.equal(other.val[:].inputs["text"], data.val[:].inputs["text"])


def test_titles_as_characters_and_tables_without_a_header(copy):
    for part in ("train", "test"):
        table = copy / "texts" / f"{part}_titles.csv"
        table.write_text("".join(table.read_text().splitlines(keepends=True)[1:]))
    prepare_dataset("food101", copy, side=16, text="characters")
    data = load_dataset("food101", side=16, text="characters", modalities=["text"])
    assert data.modalities["text"].vocabulary == VOCABULARY and len(data.test) == 40
    first = data.test[:].inputs["text"][0].int().numpy()
    assert np.array_equal(first, characters('the best "apple pie", ever: no. 0', 128))
    with pytest.raises(MsamError, match="letters"):
        load_dataset("food101", text="letters")


def test_texts_as_numbers():
    assert np.array_equal(hashed_words("Sushi, SUSHI!", 32), hashed_words("sushi", 32))
    two = hashed_words("apple pie", 4096)
    assert np.allclose(np.sort(two)[-2:], 0.5**0.5) and np.count_nonzero(two) == 2
    assert not hashed_words("", 8).any() and hashed_words("", 8).shape == (8,)
    assert characters("ab é~", 7).tolist() == [66, 67, 1, VOCABULARY - 1, VOCABULARY - 2, 0, 0]
    assert characters("abc", 2).tolist() == [66, 67]


def cut(path):
    path.write_bytes(path.read_bytes()[:200])


def test_a_truncated_picture_is_grey_and_counted_but_not_many(copy):
    folder = copy / "images" / "test" / "sushi"
    cut(folder / "sushi_3.jpg")
    prepare_dataset("food101", copy, **SMALL)
    data = load_dataset("food101", **SMALL, size=16)
    assert "1 pictures could not be decoded and are grey" in data.provenance
    red = data.test[:].inputs["visual"][3, 0] * 0.229 + 0.485
    assert torch.allclose(red, torch.full_like(red, 128 / 255), atol=1e-5)
    cut(folder / "sushi_5.jpg")
    with pytest.raises(DatasetCorrupt, match=r"sushi_\d\.jpg is not an image.*one of 2 .* of 120"):
        prepare_dataset("food101", copy, side=12, words=64)


DAMAGES = {
    "table": (lambda f: (f / "texts/test_titles.csv").unlink(), r"test_titles\.csv is not there"),
    "picture": (
        lambda f: (f / "images/train/sushi/sushi_7.jpg").unlink(),
        r"sushi_7\.jpg is not there \(1 of 120",
    ),
    "columns": (
        lambda f: write_csv(f / "texts/test_titles.csv", ["image", "title"], [["a.jpg", "x"]]),
        r"line 1 of the samples: \['image', 'title'\]; expected are Image_path, text, label",
    ),
    "empty": (lambda f: write_csv(f / "texts/test_titles.csv", HEADER, []), r"lists no samples"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(copy, name):
    do, message = DAMAGES[name]
    do(copy)
    with pytest.raises((DatasetCorrupt, DatasetMissing), match=message):
        prepare_dataset("food101", copy, **SMALL)
