"""AV-MNIST in small: nothing is shared between splits, the levels are those stated, and the
originals are there to be shown and played.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import itertools
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from msam_lib.data import avmnist, load_dataset
from msam_lib.data._audio import from_mu_law, mu_law
from msam_lib.data._avmnist_recipe import RATE, draws, noisy_waves, principal_components
from msam_lib.data._avmnist_sources import SOURCES
from msam_lib.data.avmnist_mini import COUNTS, FOLDER, NOISE_SECONDS, _stored, original
from msam_lib.errors import MsamError
from msam_lib.experiments import Experiment
from msam_lib.experiments.build import build_trainer
from tools.make_avmnist_mini import differences, make

FEW = {"n_train": 200, "n_val": 50, "n_test": 100}
PAIRS = list(itertools.combinations(COUNTS, 2))


@functools.cache
def few(**options):
    return load_dataset("avmnist_mini", **FEW, **options)


@functools.cache
def stored_arrays(name):
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def test_sizes_and_shapes():
    data = few()
    assert [len(p) for p in (data.train, data.val, data.test)] == list(FEW.values())
    for m, spec in data.modalities.items():
        assert data.train.inputs[m].shape[1:] == spec.shape
    images, speech = stored_arrays("images"), stored_arrays("speech")
    assert len(images["numbers"]) == len(set(images["numbers"].tolist())) == 3000
    assert len(speech["takes"]) == 900 and len(set(speech["speakers"].tolist())) == 6
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) <= 5e6


def test_all_pairs_are_made_once_in_a_process(monkeypatch):
    data = load_dataset("avmnist_mini", seed=5)
    assert [len(p) for p in (data.train, data.val, data.test)] == [5400, 300, 900]
    monkeypatch.setattr("msam_lib.data.avmnist_mini.make_tensors", None)  # not to be called
    again = load_dataset("avmnist_mini", seed=5)
    assert torch.equal(again.test.inputs["audio"], data.test.inputs["audio"])
    with pytest.raises(TypeError):
        load_dataset("avmnist_mini", seed=6)


def test_a_loaded_set_belongs_to_its_owner():
    mine, data = (load_dataset("avmnist_mini", seed=9, **FEW) for _ in range(2))
    for part in COUNTS:
        getattr(mine, part).targets.zero_()
        for x in getattr(mine, part).inputs.values():
            x.zero_()
    again = load_dataset("avmnist_mini", seed=9, **FEW)
    assert torch.equal(again.test.targets, data.test.targets) and data.test.targets.any()
    assert torch.equal(again.test.inputs["audio"], data.test.inputs["audio"])


def test_more_pairs_than_images_use_every_image_equally_often():
    stored = _stored()
    counts = {"train": 2 * COUNTS["train"] + 5, "val": 5, "test": 5}
    draw = draws(stored.pools, counts, 0)["train"]
    assert sorted(set(np.bincount(draw.image).tolist())) == [2, 3]
    pairs = set(zip(draw.image.tolist(), draw.recording.tolist(), draw.offset, strict=True))
    assert len(pairs) == counts["train"]  # in another recording, or other noise


def test_joint_training_starves_the_audio():
    short = {"lr": 0.02, "epochs": 8, "train_part": 50}

    def accuracies(**changes):
        run = Experiment.preset("teach", dataset="avmnist_mini", **short, **changes)
        trainer = build_trainer(run, progress=False)
        history = trainer.fit(run.epochs)
        names = ["fused", *trainer.model.modalities]
        return {m: history.last("accuracy", split="test", modality=m) for m in names}

    joint, alone = accuracies(), accuracies(modalities=("audio",))
    assert alone["audio"] > 0.28
    assert joint["audio"] < 0.85 * alone["audio"]
    assert joint["fused"] > joint["visual"] + 0.05 > joint["audio"]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_splits_share_no_image_no_recording_and_no_noise(a, b):
    stored = _stored()
    assert not {*stored.numbers[a]} & {*stored.numbers[b]}
    pixels = [{x.tobytes() for x in stored.pools[p].images} for p in (a, b)]
    assert not pixels[0] & pixels[1]
    waves = [{w.tobytes() for w in stored.waves[p]} for p in (a, b)]
    assert sum(map(len, waves)) == sum(len(stored.waves[p]) for p in (a, b))  # no copies
    assert not waves[0] & waves[1]
    # 10 ms of noise: not one stretch of it is in both.
    for x, y in zip(stored.pools[a].noises, stored.pools[b].noises, strict=True):
        stretches = [
            {z.tobytes() for z in np.lib.stride_tricks.sliding_window_view(n, 80)} for n in (x, y)
        ]
        assert not stretches[0] & stretches[1]


def test_the_splits_are_those_of_the_large_set():
    stored, first = _stored(), 0
    for part, total in avmnist.COUNTS.items():
        assert all(first <= n < first + total for n in stored.numbers[part])
        assert {*stored.takes[part].tolist()} <= {*avmnist.TAKES[part]}
        assert np.bincount(stored.pools[part].labels).tolist() == [COUNTS[part] // 10] * 10
        assert {len(x) for x in stored.pools[part].noises} == {NOISE_SECONDS[part] * RATE}
        first += total
    assert sum(map(len, stored.waves.values())) == 900


@pytest.mark.parametrize("snr_db", [-12.0, 3.0])
def test_the_noise_is_as_loud_as_stated(snr_db):
    data = few(snr_db=snr_db)
    for index in range(8):
        sample = original(data, "test", index)
        clean = original(few(snr_db=None), "test", index)
        assert sample.speaker == clean.speaker and np.array_equal(sample.wave, clean.wave)
        noise = sample.noisy - clean.noisy
        ratio = 10 * np.log10(np.square(sample.wave).mean() / np.square(noise).mean())
        assert ratio == pytest.approx(snr_db, abs=0.01)


@pytest.mark.parametrize("energy", [0.25, 0.6])
def test_the_images_keep_the_stated_energy(energy):
    data, whole = few(energy=energy), few(energy=None)
    x, y = (d.train.inputs["visual"].flatten(1).double() for d in (whole, data))
    fitted = _stored().pools["train"].images
    mean, kept = principal_components(fitted, energy)
    spread = [np.square((fitted - mean) @ k).sum() for k in (kept, kept[:, :-1])]
    share = np.array(spread) / np.square(fitted - mean).sum()
    assert share[1] < energy <= share[0]  # as few components as will do
    assert int(torch.linalg.matrix_rank(y - torch.tensor(mean), rtol=1e-3)) == kept.shape[1]
    # The residual is orthogonal to what was kept.
    assert float(((x - y) * (y - torch.tensor(mean))).sum(1).abs().max()) < 1e-3


def test_originals_belong_to_their_samples():
    data = few(energy=None)
    for index in (0, 7, 99):
        sample = original(data, "test", index)
        assert sample.digit == int(data.test.targets[index])
        assert np.allclose(data.test.inputs["visual"][index, 0], sample.image)
        facts = stored_arrays("speech")
        rows = (facts["speakers"] == sample.speaker) & (facts["takes"] == sample.take)
        row = np.flatnonzero(rows & (facts["digits"] == sample.digit))
        assert facts["lengths"][row].tolist() == [len(sample.wave)]
        assert 0.01 < np.abs(sample.wave).max() <= 1 and len(sample.noisy) == sample.rate
    for bad in (("tes", 0), ("test", 100), ("test", -1)):
        with pytest.raises(MsamError):
            original(data, *bad)
    with pytest.raises(MsamError, match="keeps no originals"):
        original(load_dataset("synthetic"), "test", 0)


def test_a_sample_keeps_its_pair_at_every_level():
    stored = _stored()
    a, b = (draws(stored.pools, {"train": 50, "val": 5, "test": 5}, s)["train"] for s in (0, 1))
    assert not np.array_equal(a.recording, b.recording)
    digits = stored.pools["train"].digits[a.recording]
    assert np.array_equal(digits, stored.pools["train"].labels[a.image])
    quiet, loud = (noisy_waves(stored.pools["train"], a, snr) for snr in (20.0, 0.0))
    clean = noisy_waves(stored.pools["train"], a, float("inf"))
    assert torch.allclose(10 * (quiet - clean), loud - clean, atol=1e-5)  # 20 dB: ten times


def test_the_same_seed_gives_the_same_data():
    few()
    again, other = (load_dataset("avmnist_mini", seed=s, **FEW) for s in (0, 1))
    for part in COUNTS:
        for m, x in getattr(few(), part).inputs.items():
            assert torch.equal(x, getattr(again, part).inputs[m])
            assert not torch.equal(x, getattr(other, part).inputs[m])


def test_mu_law_codes_return():
    codes = np.arange(-127, 128, dtype=np.int8)
    assert np.array_equal(mu_law(from_mu_law(codes)), codes)
    x = np.linspace(-1, 1, 2001)
    assert np.abs(from_mu_law(mu_law(x)) - x).max() < 0.0225
    assert np.abs(from_mu_law(mu_law(x / 10_000)) - x / 10_000).max() < 9e-5


def test_licences_and_digests_lie_beside_the_files():
    made = json.loads((FOLDER / "provenance.json").read_text())
    for name, digest in made["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest
    assert {f"{n}.npz" for n in ("images", "speech", "noise")} == {*made["sha256"]}
    recorded = {path: facts["sha256"] for path, facts in made["sources"].items()}
    assert recorded == {s.path: s.members_sha256 or s.sha256 for s in SOURCES.values()}
    text = (FOLDER / "LICENCES.txt").read_text()
    for words in ("by-sa/3.0", "by-sa/4.0", "licenses/by/4.0", *made["sha256"], "Jackson"):
        assert words in text
    # All of it is in the wheel.
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["msam_lib.data"]
    for path in FOLDER.iterdir():
        inside = path.relative_to(FOLDER.parents[1])
        assert any(fnmatch.fnmatch(str(inside), p) for p in patterns if p.count("/") == 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snr_db": float("nan")}, "snr_db=nan"),
        ({"snr_db": -float("inf")}, "snr_db=-inf"),
        ({"energy": 0}, "energy=0"),
        ({"energy": 1.5}, "energy=1.5"),
        ({"n_train": 5401}, "n_train=5401; it must lie between 1 and 5400"),
        ({"n_val": 0}, "n_val=0"),
        ({"modalities": ("visua",)}, "Did you mean 'visual'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        load_dataset("avmnist_mini", **options)


@pytest.mark.skipif("MSAM_DATA" not in os.environ, reason="MSAM_DATA is not set: no real data here")
def test_the_tool_makes_the_embedded_files_again(tmp_path):
    make(tmp_path)
    assert differences(tmp_path) == []
    made, here = ((p / "provenance.json").read_text() for p in (tmp_path, FOLDER))
    assert made == here
