"""Columns of texts in anybody's table: words, characters, and the tokens of a tokenizer."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.data import load_dataset
from msam_lib.data._texts import characters, coding, hashed_words
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError
from msam_lib.models import build_encoder
from tests.data.distributions import write_csv
from tests.huggingface_models import save_models, save_tokenizer

SAID = ["the dog barks", "the owl hoots, and hoots and hoots", "a cat\nmeows"]
N = 18


@pytest.fixture
def made(tmp_path, monkeypatch):
    """18 samples: a text, the same in a file, two numbers; the last six validate and test."""
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    rows = []
    for k in range(N):
        text = f"{SAID[k % 3]} word{k}"
        (tmp_path / f"note {k}.txt").write_text(text, encoding="utf-8-sig")
        part = "test" if k >= 15 else "val" if k >= 12 else "train"
        rows.append([text, f"note {k}.txt", f"{k} 1", "dog owl cat".split()[k % 3], part])
    header = ["said", "note", "age", "label", "split"]
    write_csv(tmp_path / "data.csv", header, rows)
    return tmp_path, header, rows


def load(made, **options):
    return load_dataset("folder", source=str(made[0] / "data.csv"), **options)


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="the extra hf is not installed")


@pytest.fixture(scope="module")
def bert(transformers, tmp_path_factory):
    """A model of up to eight tokens, and its tokenizer."""
    folder = save_models(transformers, tmp_path_factory.mktemp("hf"))["bert"]
    save_tokenizer(transformers, folder)
    return folder


@pytest.mark.parametrize("how", ["words", "characters"])
def test_texts_and_their_files_are_the_same(made, how):
    data = load(made, text="said", tokenizer=how, words=64, length=20)
    batch, rows = data.train[:], made[2]
    code = {"words": lambda t: hashed_words(t, 64), "characters": lambda t: characters(t, 20)}[how]
    expected = torch.tensor(np.stack([code(r[0]) for r in rows[:12]])).float()
    assert torch.allclose(batch.inputs["said"], expected, atol=1e-3)  # not standardised
    assert torch.equal(batch.inputs["said"], batch.inputs["note"])
    assert batch.inputs["age"].mean(0).abs().max() < 1e-6  # numbers still are
    kind = {"words": ("vector", (64,), 0), "characters": ("characters", (20,), 97)}[how]
    for m in ("said", "note"):
        about = data.modalities[m]
        assert (about.kind, about.shape, about.vocabulary) == kind
    assert data.recipe != load(made, text="said", tokenizer=how, words=63, length=19).recipe


def test_an_encoder_reads_the_tokens_that_its_tokenizer_makes(made, transformers, bert):
    data = load(made, text=["said"], tokenizer=f"hf:{bert}", length=8, modalities="said")
    about = data.modalities["said"]
    assert (about.kind, about.shape, about.vocabulary) == ("characters", (8,), 30)
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert)
    network = transformers.AutoModel.from_pretrained(bert).eval()
    texts = [r[0] for r in made[2][:12]]
    own = tokenizer(texts, padding=True, truncation=True, max_length=8, return_tensors="pt")
    assert {int(n) for n in own["attention_mask"].sum(1)} == {5, 8}  # some filled, some cut
    found = data.train[:].inputs["said"]
    width = own["input_ids"].shape[1]
    assert torch.equal(found[:, :width].long(), own["input_ids"]) and not found[:, width:].any()
    with torch.no_grad():
        mask = own["attention_mask"].unsqueeze(-1)
        hidden = network(**{k: own[k] for k in ("input_ids", "attention_mask")}).last_hidden_state
        expected = (hidden * mask).sum(1) / mask.sum(1)
        assert torch.allclose(build_encoder(about, f"hf:{bert}").eval()(found), expected, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 1, 7])
def test_padding_is_the_tokenizer_s(made, transformers, tmp_path, padding):
    save_tokenizer(transformers, tmp_path / "tokenizer", padding)
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, pad_token_id=padding,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path / "model")
    for kind in ("auto", f"hf:{tmp_path / 'model'}"):
        features = []
        for length in (11, 20):
            options = {"text": "said", "tokenizer": f"hf:{tmp_path / 'tokenizer'}"}
            data = load(made, length=length, **options)
            ids = data.train[:].inputs["said"]
            assert data.modalities["said"].padding == padding
            assert (ids == padding).any(1).all() and not (ids == padding)[:, :5].any()
            torch.manual_seed(0)
            features.append(build_encoder(data.modalities["said"], kind).eval()(ids))
        assert torch.allclose(*features, atol=1e-5)


def test_another_tokenizer_at_the_same_place_is_noticed(made, transformers, tmp_path):
    def ids():
        data = load(made, text="said", tokenizer=f"hf:{tmp_path / 't'}", length=8)
        return data.train[:].inputs["said"]

    save_tokenizer(transformers, tmp_path / "t")
    first = ids()
    save_tokenizer(transformers, tmp_path / "t", words="owl hoots the a dog cat barks meows")
    assert not torch.equal(first, ids())


def test_one_command_trains_a_text_encoder(made, bert, tmp_path, capsys):
    command = ["train", "--preset", "smoke", "--epochs", "1", "--dataset", "folder", "--method",
               "msam", "--source", str(made[0] / "data.csv"), "--modalities", "said", "age",
               "--encoder", f"said=hf:{bert},age=mlp", "--store", str(tmp_path / "runs"),
               "--data-options", "text=said", f"tokenizer=hf:{bert}", "length=8"]  # fmt: skip
    assert main(command) == 0
    assert "said" in capsys.readouterr().out


def test_jsonl_holds_texts_of_any_characters(made):
    folder, header, rows = made
    lines = [dict(zip(header, r, strict=True)) for r in rows]
    lines[0]["said"] = "one\u2028two\x85three"
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines), "utf-8")
    options = {"source": str(path), "text": "said", "words": 64, "modalities": ["said"]}
    found = load_dataset("folder", **options).train[0].inputs["said"]
    assert torch.allclose(found, torch.tensor(hashed_words(lines[0]["said"], 64)), atol=1e-3)
    for value, message in ((None, "sample 1: column 'said' is empty"), ({"a": 1}, "line 1: .*'a'"),
                           (["a", "b"], "line 1: .*list of numbers, not")):  # fmt: skip
        lines[0]["said"] = value
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(DatasetCorrupt, match=message):
            load_dataset("folder", **options)


def cell(column, value, row=0):
    def change(folder, header, rows):
        rows[row][header.index(column)] = value

    return change


def file(content, row=4):
    return lambda folder, header, rows: (folder / f"note {row}.txt").write_bytes(content)


WRONG = {
    "empty": (cell("said", "", 4), DatasetCorrupt, "sample 5: column 'said' is empty"),
    "blank": (cell("said", " \n", 4), DatasetCorrupt, "sample 5: column 'said' is empty"),
    "mixed": (cell("said", "note 4.txt", 4), DatasetCorrupt, r"sample 5: .* holds 'note 4\.txt'"),
    "no file": (
        cell("note", "a text", 4),
        DatasetCorrupt,
        "sample 5: .* holds 'a text', the first",
    ),
    "image": (cell("said", "my face.jpg"), MsamError, r"first cell names another .*my face\.jpg"),
    "absent": (cell("note", "none.txt", 4), DatasetMissing, r"none\.txt is not there"),
    "empty file": (file(b""), DatasetCorrupt, r"note 4\.txt is empty"),
    "blank file": (file(b" \n"), DatasetCorrupt, r"note 4\.txt has no text"),
    "bytes": (file(b"caf\xe9"), DatasetCorrupt, r"note 4\.txt is not a text in UTF-8"),
    "length": (cell("said", "x" * 200_000, 4), DatasetCorrupt, r"data\.csv, line .*field larger"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(made, name):
    change, error, message = WRONG[name]
    change(*made)
    write_csv(made[0] / "data.csv", *made[1:])
    with pytest.raises(error, match=message):
        load(made, text="said")


def test_options_that_do_not_fit(made, monkeypatch):
    with pytest.raises(MsamError, match="If column 'said' holds texts: text='said'"):
        load(made)
    with pytest.raises(MsamError, match="tokenizer='characters', but no column holds texts"):
        load(made, modalities="age", tokenizer="characters")
    with pytest.raises(DatasetCorrupt, match="no column 'sayd'"):
        load(made, text="sayd")
    with pytest.raises(MsamError, match=r"Unknown tokenizer 'bert'\. .*hf:NAME"):
        load(made, text="said", tokenizer="bert")
    (made[0] / "data.csv").write_bytes("said,label\ncaf\xe9,a\n".encode("latin1"))
    with pytest.raises(DatasetCorrupt, match=r"data\.csv is not a text in UTF-8"):
        load(made, text="said")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MsamError, match=r"needs transformers.*pip install 'msam-lib\[hf\]'"):
        coding("hf:x", 1, 1)


def test_tokenizers_that_do_not_fit(made, transformers, bert, tmp_path):
    with pytest.raises(
        MsamError, match=r"no such folder with the files of a tokenizer.*hf download"
    ):
        coding(f"hf:{tmp_path / 'none'}", 1, 8)
    with pytest.raises(DatasetCorrupt, match=r"holds '\[PAD\]'.*Take it out"):
        coding(f"hf:{bert}", 1, 8).code("a [PAD] dog")
    own = transformers.AutoTokenizer.from_pretrained(bert)
    own.pad_token = None
    own.save_pretrained(tmp_path / "own")
    with pytest.raises(MsamError, match=r"no padding token.*save_pretrained"):
        coding(f"hf:{tmp_path / 'own'}", 1, 8)
    # The model has fewer positions than the texts tokens.
    data = load(made, text="said", tokenizer=f"hf:{bert}", length=9)
    with pytest.raises(MsamError, match=r"cannot read samples of shape \(9,\)"):
        build_encoder(data.modalities["said"], f"hf:{bert}")
