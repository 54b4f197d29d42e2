"""Many experiments at once: all run, none twice, and a failing one loses no other."""

from __future__ import annotations

import json

import pytest

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.errors import MsamError
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.runner import run_all
from msam_lib.experiments.suite import suite

SMALL = {"n_train": 60, "n_val": 20, "n_test": 20}


def small(**changes):
    base = {"dataset": "synthetic", "epochs": 1, "width": 1, "batch_size": 16, "device": "cpu"}
    base |= {"data_options": SMALL}
    return Experiment(**(base | changes))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_experiment_loses_no_other(jobs, tmp_path):
    good = [small(seed=0), small(seed=1)]
    with pytest.raises(MsamError, match=r"1 of 3 experiments failed(.|\n)*NonFiniteLoss"):
        run_all([good[0], small(lr=1e30), good[1]], tmp_path, jobs=jobs, progress=False)
    finished = run_all(good, tmp_path, jobs=jobs)
    assert [r.name for r in finished] == [e.name for e in good]
    assert all(r.finished for r in finished)
    assert json.loads((finished[0].path / "timing.json").read_text())["seconds"] >= 0


def test_processes_give_the_numbers_of_one_process(tmp_path):
    experiments = [small(seed=s, method="msam") for s in (0, 1)]
    alone = run_all(experiments, tmp_path / "alone", jobs=1)
    apart = run_all(experiments, tmp_path / "apart", jobs=2)
    for a, b in zip(alone, apart, strict=True):
        assert (a.path / "metrics.csv").read_bytes() == (b.path / "metrics.csv").read_bytes()


def test_the_suite_runs_every_experiment_once():
    # On digits the table's SAM has the radius of the strong-versus-weak comparison.
    names = [e.name for e in suite(seeds=(0, 1), dataset="digits")]
    assert len(names) == len(set(names)) == 34


def test_the_default_data_set_is_the_same_everywhere():
    experiments = suite()
    assert {e.dataset for e in experiments} == {DEFAULT_DATASET} == {Experiment().dataset}
    assert {e.fusion for e in experiments if e.traces} == {"late"}


def test_no_processes_are_refused(tmp_path):
    with pytest.raises(MsamError, match="jobs=0"):
        run_all([small()], tmp_path, jobs=0)
