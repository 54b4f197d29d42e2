"""The embedded data set: sizes, no leak between splits, and that it can be learnt."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from msam_lib.data import load_dataset
from msam_lib.data.digits import EMBEDDED, decode, encode, sample_wav, sample_wave, table
from msam_lib.errors import MsamError

SPLITS = ("train", "val", "test")


def test_sizes_shapes_and_small_product():
    data = load_dataset("digits", modalities=("audio", "visual", "text"))
    assert [len(getattr(data, s)) for s in SPLITS] == [1197, 200, 400]
    for m, spec in data.modalities.items():
        assert data.train.inputs[m].shape[1:] == spec.shape
    assert load_dataset("digits").train.modalities == ("audio", "visual")
    files = [p for pattern in ("digits.*", "wav/*") for p in EMBEDDED.glob(pattern)]
    assert sum(p.stat().st_size for p in files) < 3e6


@pytest.mark.parametrize("column", ["image", "voice", "word"])
def test_splits_share_nothing(column):
    seen = {s: {r[column] for r in table() if r["split"] == s} for s in SPLITS}
    for a, b in itertools.combinations(SPLITS, 2):
        assert not seen[a] & seen[b]


def test_pairs_are_of_one_class():
    digits, pixels = load_digits(), load_dataset("digits", visual_noise=0.0)
    rows = [r for r in table() if r["split"] == "train"]
    assert [digits.target[int(r["image"])] for r in rows] == pixels.train.targets.tolist()
    expected = digits.images[int(rows[0]["image"])] / 16
    assert np.allclose(pixels.train.inputs["visual"][0, 0], expected)


def test_provenance_names_what_is_real():
    made = json.loads((EMBEDDED / "provenance.json").read_text())
    text = load_dataset("digits").provenance
    assert "real" in text
    assert "eSpeak NG" in made["speech"]
    assert str(made["snr_db"]) in text


def test_each_modality_can_be_learnt():
    data = load_dataset("digits")
    x, y = (
        {m: p.inputs[m].flatten(1).numpy() for m in p.modalities} for p in (data.train, data.test)
    )
    scores = {}
    for m in x:
        model = LogisticRegression(C=0.01, max_iter=300).fit(x[m], data.train.targets)
        scores[m] = model.score(y[m], data.test.targets)
    assert scores["visual"] > 0.7
    assert scores["audio"] > 0.4


def test_noise_is_the_same_every_time_and_as_large_as_stated():
    clean, noisy = (
        load_dataset("digits", visual_noise=0.0),
        load_dataset("digits", visual_noise=0.5),
    )
    difference = noisy.train.inputs["visual"] - clean.train.inputs["visual"]
    assert float(difference.std()) == pytest.approx(0.5, rel=0.02)
    again = load_dataset("digits", visual_noise=0.5)
    assert torch.equal(again.test.inputs["visual"], noisy.test.inputs["visual"])


def test_recordings_can_be_played():
    for digit in range(10):
        wave, rate = sample_wave(digit)
        assert rate == 8000
        assert 0.1 < len(wave) / rate < 1.5
        assert sample_wav(digit).exists()
        assert np.abs(wave).max() > 0.1
    with pytest.raises(MsamError, match="digit=10"):
        sample_wav(10)


def test_words_survive_encoding():
    assert decode(encode("seven")) == "seven"
    assert all(decode(encode(r["word"])) == r["word"][:12] for r in table()[:50])


def test_bad_options_are_refused():
    with pytest.raises(MsamError, match="visual_noise=-1"):
        load_dataset("digits", visual_noise=-1)
    with pytest.raises(MsamError, match="Did you mean 'visual'"):
        load_dataset("digits", modalities=("visua",))
    with pytest.raises(MsamError, match="Did you mean 'visual_noise'"):
        load_dataset("digits", visualnoise=1)
