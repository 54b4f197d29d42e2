"""Statistics against closed forms; frames from run directories and back from frozen files."""

from __future__ import annotations

import gzip
import json
import math
from itertools import product

import numpy as np
import pytest

from msam_lib import results
from msam_lib.errors import MsamError
from msam_lib.experiments.freeze.runs import freeze_runs
from msam_lib.experiments.measurements import collect
from msam_lib.results.frame import COLUMNS
from msam_lib.results.frozen import sha256
from msam_lib.results.statistics import bootstrap_interval, paired, t_factor, t_interval
from tests import fabricated

T_2 = 4.302652729911275  # Student's t, 2 degrees of freedom, 97.5 %


# --- statistics -----------------------------------------------------------------------------------


def test_t_interval_is_the_textbooks():
    mean, low, high, n = t_interval([1.0, 2.0, 3.0])
    half = T_2 / math.sqrt(3)  # the standard deviation is 1
    assert (mean, n) == (2.0, 3)
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_one_value_has_no_interval():
    for interval in (t_interval, bootstrap_interval):
        mean, low, high, n = interval([5.0])
        assert (mean, n) == (5.0, 1)
        assert math.isnan(low) and math.isnan(high)
    assert np.isnan(t_factor(np.array([0, 1]))).all()


def test_bootstrap_of_three_enumerates_all_27_resamples():
    x = np.array([0.0, 1.0, 5.0])
    means = [np.mean(r) for r in product(x, repeat=3)]
    got = bootstrap_interval(x)
    assert got.low == pytest.approx(np.quantile(means, 0.025))
    assert got.high == pytest.approx(np.quantile(means, 0.975))
    assert got == bootstrap_interval(x, seed=9)  # nothing is drawn


def test_bootstrap_of_many_approaches_the_normal_interval():
    x = np.random.default_rng(0).normal(size=400)
    got = bootstrap_interval(x)
    half = 1.96 * x.std() / 20
    assert (got.low, got.high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.01)


def test_paired_t_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    a, b = [1.0, 2.5, 3.0, 4.2, 5.0], [0.7, 2.6, 2.2, 3.3, 4.6]
    got = paired(a, b)
    assert got.p_t == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert got.p_sign == pytest.approx(stats.binomtest(4, 5).pvalue)
    d = np.subtract(a, b)
    sums = [np.dot(s, np.abs(d)) for s in product([1, -1], repeat=5)]
    assert got.p_permutation == pytest.approx(np.mean(np.abs(sums) >= abs(d.sum()) - 1e-12))


def test_three_seeds_cannot_be_significant_in_an_exact_test():
    got = paired([0.9, 0.91, 0.92], [0.1, 0.12, 0.11])
    assert got.p_t < 0.01
    assert got.p_permutation == got.smallest_p == got.p_sign == 0.25
    assert "cannot reach 0.05" in str(got)


def test_equal_methods_differ_by_nothing():
    got = paired([0.5, 0.6], [0.5, 0.6])
    assert (got.difference, got.p_t, got.p_sign, got.p_permutation) == (0, 1, 1, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: t_interval([]),
        lambda: t_interval([1.0, 2.0], level=95),
        lambda: bootstrap_interval([1.0, 2.0], level=0),
        lambda: paired([1.0], [2.0]),
        lambda: paired([1.0, 2.0], [2.0]),
    ],
)
def test_senseless_samples_are_refused(call):
    with pytest.raises(MsamError):
        call()


# --- frames ---------------------------------------------------------------------------------------


def test_the_reported_epoch_is_the_best_validation_epoch_and_never_looks_at_the_test():
    frame = fabricated.results()
    assert set(results.reported_epoch(frame)["epoch"]) == {2}
    assert set(results.reported_epoch(frame, "last")["epoch"]) == {3}
    test_only = (frame["split"] == "test") & (frame["modality"] == "fused") & (frame["epoch"] == 1)
    frame.loc[test_only, "value"] = 1.0
    assert set(results.reported_epoch(frame)["epoch"]) == {2}


def test_the_reported_epoch_is_the_first_of_equals():
    frame = fabricated.results(labels=["joint"], seeds=[0])
    frame.loc[(frame["split"] == "val") & (frame["epoch"] >= 1), "value"] = 0.7
    assert set(results.reported_epoch(frame)["epoch"]) == {1}


def test_without_validation_no_epoch_is_reported():
    frame = fabricated.results()
    with pytest.raises(MsamError, match="select='last'"):
        results.reported_epoch(frame[frame["split"] == "test"])
    with pytest.raises(MsamError, match="select"):
        results.reported_epoch(frame, "best")


def test_summary_over_seeds():
    got = results.summary(results.reported_epoch(fabricated.results(labels=["joint"])))
    fused = got[(got["split"] == "test") & (got["modality"] == "fused")].iloc[0]
    assert fused["mean"] == pytest.approx(fabricated.accuracy(0, 1, 2, -1))
    assert fused["half"] == pytest.approx(T_2 * 0.02 / math.sqrt(3))
    assert fused["n"] == 3
    with pytest.raises(MsamError, match="by="):
        results.summary(fabricated.results())
    assert len(results.summary(fabricated.results(labels=["joint"]), by=["epoch"])) == 4 * len(got)


def test_summary_of_one_seed_has_no_interval():
    got = results.summary(results.reported_epoch(fabricated.results(seeds=[4])))
    assert got["low"].isna().all() and (got["n"] == 1).all()


def test_paired_test_pairs_seeds():
    frame = results.reported_epoch(fabricated.results())
    frame = frame[~((frame["label"] == "joint") & (frame["seed"] == 0))]
    got = results.paired_test(frame, "sam:rho=0.1", "joint")
    assert (got.n, got.difference) == (2, pytest.approx(0.02))
    with pytest.raises(MsamError, match="Did you mean"):
        results.paired_test(frame, "sam:rho=0.2", "joint")
    with pytest.raises(MsamError, match="reported_epoch"):
        results.paired_test(fabricated.results(), "sam:rho=0.1", "joint")


# --- run directories and frozen files -------------------------------------------------------------


def write_run(store, label="sam:rho=0.1", seed=0, *, done=True, name="", **config):
    method, _, rho = label.partition(":rho=")
    path = store / (name or f"digits-late-{label}-s{seed}")
    path.mkdir(parents=True)
    options = {"rho": float(rho)} if rho else {}
    content = {"dataset": "digits", "fusion": "late", "method": method, "seed": seed}
    content |= {"epochs": 20, "width": 8, "lr": 0.05, "schedule": "cosine"}
    (path / "config.json").write_text(
        json.dumps(content | {"method_options": options, "modalities": []} | config)
    )
    record = {"commit": "abc", "device": "cpu", "torch": "2.0", "provenance": "made up"}
    (path / "environment.json").write_text(json.dumps(record))
    frame = fabricated.results(labels=["joint"], seeds=[seed])
    columns = ["epoch", "step", "split", "modality", "metric", "value"]
    (path / "metrics.csv").write_text(frame[columns].to_csv(index=False))
    if done:
        (path / "DONE").touch()
    return path


def test_collect_tells_what_each_row_is_of(tmp_path):
    write_run(tmp_path, "joint")
    path = write_run(tmp_path, seed=1)
    frame = collect(tmp_path)
    assert list(frame.columns) == COLUMNS
    assert set(frame["label"]) == {"joint", "sam:rho=0.1"}
    assert set(frame["preset"]) == {"teach"}
    for one in (path, [path], str(path)):
        assert set(collect(one)["seed"]) == {1}


def test_collect_leaves_out_what_is_not_finished(tmp_path):
    path = write_run(tmp_path, done=False)
    with pytest.raises(MsamError, match="No finished runs"):
        collect(tmp_path)
    with (path / "metrics.csv").open("a") as file:
        file.write("4,40,test,fused,accuracy,0.")  # killed while writing
    assert collect(tmp_path, unfinished=True)["epoch"].max() == 3


def test_two_settings_behind_one_label_are_not_mixed(tmp_path):
    write_run(tmp_path)
    write_run(tmp_path, name="other", epochs=7)
    with pytest.raises(MsamError, match="different settings"):
        collect(tmp_path)


def test_freeze_and_load(tmp_path):
    store = tmp_path / "runs"
    for seed in (0, 1):
        (write_run(store, seed=seed) / "timing.json").write_text('{"seconds": 1.5}')
    path = freeze_runs(store, "toy", tmp_path / "data")
    first = path.read_bytes()
    assert freeze_runs(store, tmp_path / "again.csv.gz").read_bytes() == first
    frame = results.load("toy", tmp_path / "data")
    assert list(frame.columns) == COLUMNS
    facts = frame.attrs["provenance"]
    assert frame[frame["seed"] == 0].attrs["provenance"] is facts  # not copied by every selection
    assert facts["seeds"] == [0, 1] and facts["commit"] == ["abc"] and facts["torch"] == ["2.0"]
    assert facts["training_seconds"] == 3.0
    assert facts["data"] == {"digits": "made up"}
    assert facts["settings"]["digits late sam:rho=0.1"]["width"] == 8
    assert facts["sha256"] == sha256(first)
    # what was kept has kept its values; classes at the best and the last epoch only
    whole = collect(store)
    key = [c for c in COLUMNS if c != "value"]
    both = frame.merge(whole, on=key)
    assert len(both) == len(frame)
    np.testing.assert_allclose(both["value_x"], both["value_y"], rtol=1e-5)
    per_class = frame[frame["metric"].str.startswith("contribution/")]
    assert set(per_class["epoch"]) == {2, 3}
    assert gzip.decompress(first).startswith(b"dataset,")


def test_missing_frozen_results_say_what_there_is(tmp_path):
    with pytest.raises(MsamError, match="msam_lib figures"):
        results.load("digits", tmp_path)
    write_run(tmp_path / "runs")
    freeze_runs(tmp_path / "runs", "toy", tmp_path)
    with pytest.raises(MsamError, match="Did you mean 'toy'"):
        results.load("toys", tmp_path)
    with pytest.raises(MsamError):
        freeze_runs(tmp_path / "nothing", "toy", tmp_path)
