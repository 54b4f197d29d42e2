"""urfunny from the authors' six pickles: the same samples as from MultiBench's, and damages."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.data import load_dataset, prepare_dataset
from msam_lib.errors import DatasetCorrupt, DatasetMissing, MsamError

N, VECTORS = 24, 40
SILENT, UNKNOWN, EMPTY = 10, 4, 16  # ids: of words without a vector; the first word so; no word
FOLDS = {"train": range(1, 15), "dev": range(15, 20), "test": range(20, 25)}
SDK = {"vision": "openface_features_sdk", "audio": "covarep_features_sdk"}


def made():
    """{name: content} of the six files, for ids 1 to 24: k % 5 + 1 words after k % 3 sentences."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(VECTORS, 300)).astype(np.float32)
    vectors[0] = 0  # the padding of the authors' notebook
    language, sdk = {}, {name: {} for name in SDK.values()}
    for k in range(1, N + 1):
        lengths = [1 + (k + j) % 4 for j in range(k % 3)] + [0 if k == EMPTY else k % 5 + 1]
        words = [[int(i) for i in rng.integers(1, VECTORS, size=n)] for n in lengths]
        if k == SILENT:
            words[-1] = [0] * lengths[-1]
        if k == UNKNOWN:
            words[-1][0] = 0
        language[k] = {
            "punchline_embedding_indexes": words[-1],
            "context_embedding_indexes": words[:-1],
            "punchline_sentence": "a punchline",
            "context_sentences": ["some context"] * (k % 3),
            "punchline_intervals": [[0.0, 0.1]] * lengths[-1],
            "context_intervals": [[[0.0, 0.1]] * n for n in lengths[:-1]],
        }
        for name, size in zip(sdk, (371, 81), strict=True):
            x = [rng.normal(size=(n, size)) for n in lengths]
            if size == 81 and lengths[-1]:
                x[-1][-1, 7] = -np.inf
            one = [s.tolist() if k % 2 else s for s in x]  # lists or arrays
            sdk[name][k] = {"punchline_features": one[-1], "context_features": one[:-1]}
    return {
        "data_folds": {fold: list(ids) for fold, ids in FOLDS.items()},
        "language_sdk": language,
        "humor_label_sdk": {k: (k // 2) % 2 for k in range(1, N + 1)},
        "word_embedding_list": list(vectors),
    } | sdk


def write(folder, content, protocol=4):
    folder.mkdir(exist_ok=True)
    for name, x in content.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(x, protocol))
    return folder


def as_multibench(content, steps=6):
    """The same samples as one pickle, padded at the front."""
    out = {}
    for fold, part in (("train", "train"), ("dev", "valid"), ("test", "test")):
        ids = content["data_folds"][fold]
        x = {m: np.zeros((len(ids), steps, d), np.float32)
             for m, d in (("vision", 371), ("audio", 81), ("text", 300))}  # fmt: skip
        for row, k in enumerate(ids):
            words = content["language_sdk"][k]["punchline_embedding_indexes"]
            if words:
                x["text"][row, -len(words) :] = np.array(content["word_embedding_list"])[words]
                for m, name in SDK.items():
                    x[m][row, -len(words) :] = content[name][k]["punchline_features"]
        labels = np.array([[content["humor_label_sdk"][k]] for k in ids])
        out[part] = x | {"labels": labels, "id": ids}
    return out


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)


@pytest.fixture
def six(tmp_path):
    content = made()
    return write(tmp_path / "six", content), content


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_both_forms_give_the_same_samples(tmp_path, protocol):
    content = made()
    folder = write(tmp_path / "six", content, protocol)
    (tmp_path / "humor.pkl").write_bytes(pickle.dumps(as_multibench(content)))
    prepare_dataset("urfunny", folder)
    prepare_dataset("urfunny", tmp_path)
    ours = load_dataset("urfunny", layout="official")
    theirs = load_dataset("urfunny", layout="multibench")
    assert load_dataset("urfunny").recipe == theirs.recipe != ours.recipe
    for part, count in (("train", 13), ("val", 4), ("test", 5)):  # ids 10 and 16 have no words
        a, b = getattr(ours, part)[:], getattr(theirs, part)[:]
        assert len(a.targets) == count and torch.equal(a.targets, b.targets)
        for m, x in a.inputs.items():
            steps = x.shape[1]
            assert steps == 5  # the most words
            assert torch.equal(x, b.inputs[m][:, :steps]) and not b.inputs[m][:, steps:].any()
            assert torch.isfinite(x).all()
    for data in (ours, theirs):
        assert "2 samples without words are left out (1 train, 1 val, 0 test)." in data.provenance
    unknown = ours.train[UNKNOWN - 1].inputs  # its first word is cut, in every modality
    assert all(x[:4].any(1).all() and not x[4:].any() for x in unknown.values())


@pytest.mark.parametrize("context", [1, 2, 7])
def test_context_comes_before_the_punchline(six, context):
    folder, content = six
    prepare_dataset("urfunny", folder, context=context)
    data = load_dataset("urfunny", context=context)
    assert [len(p) for p in (data.train, data.val, data.test)] == [13, 4, 5]
    kept = [k for k in FOLDS["train"] if k != SILENT]
    batch = data.train[:]
    for row, k in enumerate(kept):
        entry = content["language_sdk"][k]
        sentences = [*entry["context_embedding_indexes"][-context:]]
        sentences.append(entry["punchline_embedding_indexes"])
        words = [w for sentence in sentences for w in sentence]
        cut = next(i for i, w in enumerate(words) if w)
        text = torch.tensor(np.array(content["word_embedding_list"])[words[cut:]])
        assert torch.allclose(batch.inputs["text"][row, : len(text)], text, atol=2e-3)
        assert not batch.inputs["text"][row, len(text) :].any()
        faces = content[SDK["vision"]][k]
        faces = [*faces["context_features"][-context:], faces["punchline_features"]]
        faces = torch.tensor(np.concatenate([np.array(x) for x in faces])[cut:]).float()
        assert torch.allclose(batch.inputs["visual"][row, : len(text)], faces, atol=2e-3)
    with pytest.raises(DatasetMissing, match="--data-options context=3"):
        load_dataset("urfunny", context=3)


def test_one_command_prepares_and_counts(six, capsys):
    assert main(["prepare", "urfunny", "--source", str(six[0]), "--data-options", "context=1"]) == 0
    said = capsys.readouterr().out
    assert "22 samples" in said and "13 train, 4 val, 5 test" in said
    assert "24 ids in data_folds.pkl, where 10,166 are published." in said
    assert "2 samples without words are left out (1 train, 1 val, 0 test)." in said


def test_which_form_a_folder_holds(six, tmp_path):
    folder, content = six
    for name in ("language_sdk", "humor_label_sdk"):
        (folder / f"{name}.pkl").unlink()
    message = r"humor\.pkl is not there.*missing: language_sdk\.pkl, humor_label_sdk\.pkl\."
    for source in (folder, folder / "data_folds.pkl"):
        with pytest.raises(DatasetMissing, match=message):
            prepare_dataset("urfunny", source)
    # A whole humor.pkl beside a part of the six is MultiBench's.
    (folder / "humor.pkl").write_bytes(pickle.dumps(as_multibench(content)))
    assert "row" in prepare_dataset("urfunny", folder).samples[0]
    write(folder, content)
    with pytest.raises(MsamError, match=r"both humor\.pkl .* --source .*data_folds\.pkl"):
        prepare_dataset("urfunny", folder)
    assert "id" in prepare_dataset("urfunny", folder / "language_sdk.pkl").samples[0]


def test_options_that_a_form_does_not_have(six, tmp_path):
    (tmp_path / "humor.pkl").write_bytes(pickle.dumps(as_multibench(six[1])))
    with pytest.raises(MsamError, match=r"context=1, but humor\.pkl has punchlines alone"):
        prepare_dataset("urfunny", tmp_path, context=1)
    with pytest.raises(MsamError, match="context=-1"):
        prepare_dataset("urfunny", six[0], context=-1)
    with pytest.raises(MsamError, match=r"sha256 is the digest of humor\.pkl"):
        prepare_dataset("urfunny", six[0], sha256="0" * 64)
    with pytest.raises(MsamError, match="multibench"):
        load_dataset("urfunny", layout="multi")
    with pytest.raises(MsamError, match="context=1, but"):
        load_dataset("urfunny", layout="multibench", context=1)


class Evil:
    def __reduce__(self):
        return os.getcwd, ()


def put(name, key, column, value):
    def damage(content):
        if column is None:
            content[name][key] = value
        else:
            content[name][key][column] = value

    return damage


def dropped(name, key):
    return lambda content: content[name].pop(key)


def word(value):
    return put("language_sdk", 7, "punchline_embedding_indexes", value)


SHORT = np.zeros((2, 81))
DAMAGES = {
    "index beyond": (word([1, 40, 2]), r"language_sdk\.pkl: id 7 .* index 40; .*word_embedding_"
                     r"list\.pkl has the rows 0 to 39"),
    "index below": (word([1, -1, 2]), r"language_sdk\.pkl: id 7 .* index -1;"),
    "no index": (word([1, 2.5, 2]), r"language_sdk\.pkl: id 7 .* index 2\.5;"),
    "words": (word(["a", "b"]), r"language_sdk\.pkl: id 7 has indexes that are no list of num"),
    "lengths": (put(SDK["audio"], 7, "punchline_features", SHORT),
                r"covarep_features_sdk\.pkl: id 7 has features of 2 words, but .*language_sdk\.pkl "
                "has 3"),
    "size": (put(SDK["vision"], 20, "punchline_features", SHORT),
             r"openface_features_sdk\.pkl: id 20 has rows of shape \(2, 81\); .*\(n, 371\)"),
    "ragged": (put(SDK["audio"], 3, "punchline_features", [[0.0] * 81, [0.0] * 80]),
               r"covarep_features_sdk\.pkl: id 3 has rows that are no 81 numbers"),
    "no features": (dropped(SDK["vision"], 16), r"openface_.*\.pkl has nothing for id 16"),
    "no label": (dropped("humor_label_sdk", 16), r"humor_label_sdk\.pkl has nothing for id 16"),
    "label": (put("humor_label_sdk", 16, None, -1), r"humor_label_sdk\.pkl: id 16 .* label -1;"),
    "no list": (put(SDK["audio"], 5, None, {}), r"covarep_.*: id 5 has no list 'punchline_feat"),
    "twice": (put("data_folds", "dev", None, [15, 3]), r"id 3 is in train and again in dev"),
    "fold": (dropped("data_folds", "dev"), r"data_folds\.pkl has no list 'dev'"),
    "vectors": (lambda content: content.update(word_embedding_list=[[0.0] * 50] * VECTORS),
                r"word_embedding_list\.pkl has rows of shape \(40, 50\); .*\(n, 300\)"),
    "global": (put(SDK["vision"], 7, None, Evil()),
               r"openface_features_sdk\.pkl was not read: it asks for posix\.getcwd"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damages_are_named(tmp_path, name):
    damage, message = DAMAGES[name]
    content = made()
    damage(content)
    with pytest.raises(DatasetCorrupt, match=message):
        prepare_dataset("urfunny", write(tmp_path / "six", content))
