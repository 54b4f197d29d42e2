"""Sweeps of runs: whoever is killed, the same command ends as an undisturbed one does."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from msam_lib._utils import cluster, extras
from msam_lib._utils.cluster import check_place, finished_on, slurm_cluster
from msam_lib.cli.main import main
from msam_lib.errors import MsamError, RunsFailed
from msam_lib.experiments import choices, runner, search
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.runner import run_all
from msam_lib.labels import Case
from msam_lib.training import Run, Trainer, list_runs
from tests.test_processes import note, until

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"n_train": 120, "n_val": 40, "n_test": 40}


def small(**changes):
    return Experiment.preset(
        "smoke", dataset="synthetic", device="cpu", data_options=SMALL, **changes
    )


def metrics(store):
    """{run: content of its metrics} of a store in which all runs have finished."""
    runs = list_runs(store)
    assert all(r.finished for r in runs) and not list(Path(store).rglob("*.tmp"))
    return {r.name: (r.path / "metrics.csv").read_bytes() for r in runs}


def test_after_its_parent_is_killed_the_same_command_ends_as_if_undisturbed(tmp_path):
    command = "compare --preset smoke --dataset synthetic --device cpu --epochs 12 --jobs 2".split()
    command += ["--methods", "joint", "msam", "--data-options", "n_train=200", "n_val=40"]
    command += ["--seeds", "0", "--store"]
    killed = [sys.executable, "-m", "msam_lib", *command, str(tmp_path / "killed")]
    parent = subprocess.Popen(killed, cwd=ROOT, stdout=subprocess.DEVNULL)
    until(lambda: list((tmp_path / "killed").glob("*/checkpoint.pt")), 60)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert any(not r.finished for r in list_runs(tmp_path / "killed"))
    # In this process, at once: the old workers may be about to write.
    assert main([*command, str(tmp_path / "killed"), "--jobs", "1"]) == 0
    assert main([*command, str(tmp_path / "whole"), "--jobs", "1"]) == 0
    assert len(metrics(tmp_path / "whole")) == 2
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")


def test_a_run_that_another_command_trains_is_left_to_it_and_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "BUSY_WAIT", 0.05)
    first, second = small(seed=0), small(seed=1)
    order, held = [], Run(tmp_path / first.name).lock()
    held.__enter__()

    def done(run):
        order.append(run.name)
        if run.name == second.name:  # the other command stops
            held.__exit__(None, None, None)

    run_all([first, second], tmp_path, jobs=1, progress=False, on_done=done)
    assert order == [second.name, first.name]


def test_what_is_tuned_depends_on_the_finished_runs_alone(tmp_path, monkeypatch):
    same = {"budget": 3, "seeds": (100,), "refine": False}
    same |= {"store": tmp_path / "runs", "jobs": 1, "preset": "smoke"}
    same |= {"data_options": SMALL}
    cases = [Case("joint", {}), Case("sam", {})]
    search.tune("synthetic", "late", cases, folder=tmp_path / "a", **same)
    for case in reversed(cases):
        search.tune("synthetic", "late", [case], folder=tmp_path / "b", **same)
    texts = [(tmp_path / f / "synthetic-late.json").read_text() for f in "ab"]
    assert texts[0] == texts[1] and '"commit"' in texts[0]

    def full(self, epochs):
        raise OSError(errno.ENOSPC, "No space left on device")

    # A trial that a full disk stopped says nothing about its method.
    monkeypatch.setattr(Trainer, "fit", full)
    with pytest.raises(RunsFailed, match="No space left"):
        search.tune("synthetic", "late", [*cases, Case("asam", {})], folder=tmp_path / "c", **same)
    assert (tmp_path / "c" / "synthetic-late.json").read_text() == texts[0]


def test_a_damaged_file_of_choices_is_explained(tmp_path):
    (tmp_path / "digits-late.json").write_text("[1]")
    with pytest.raises(MsamError, match=r"digits-late\.json is damaged .*tune` again"):
        choices.tuned("digits", "late", tmp_path)


def test_dask_takes_up_the_tasks_of_a_killed_worker(tmp_path, capsys):
    pytest.importorskip("distributed")
    items = [(tmp_path / f"task{k}", {1: 1, 3: 9}.get(k, 0)) for k in range(5)]
    ended = {i[0].name: error for i, error in finished_on("dask", note, items, jobs=2)}
    begun = {name: len(list(tmp_path.glob(f"{name}.*"))) for name in ended}
    assert begun["task1"] == 2 and begun["task3"] == 3 and len(ended) == 5
    assert [n for n, error in ended.items() if error] == ["task3"]
    assert "its worker died 3 times" in str(ended["task3"])
    assert "dashboard: http://127.0.0.1:" in capsys.readouterr().err


def test_the_job_script_for_slurm():
    pytest.importorskip("dask_jobqueue")
    options = {"queue": "long", "walltime": "04:00:00", "memory": "8GB"}
    made = slurm_cluster(3, options)
    try:
        script = made.job_script()
        for line in ("-p long", "-t 04:00:00", "--mem=8G", "--cpus-per-task=1"):
            assert f"#SBATCH {line}" in script
        assert "--nthreads 1" in script and "distributed.cli.dask_worker" in script
    finally:
        made.close()
    with pytest.raises(MsamError, match=r"on='slurm' with .*nonsense"):
        slurm_cluster(1, {"nonsense": 1})


def test_places_are_checked_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    with pytest.raises(MsamError, match="on='cloud'; use 'local'"):
        run_all([small()], tmp_path, on="cloud")
    with pytest.raises(MsamError, match="queue: on='local' takes no options"):
        list(finished_on("local", print, [1], jobs=2, options={"queue": "x"}))

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    for on, package in (("dask", "distributed"), ("slurm", "dask_jobqueue"), ("tcp://a:1", "dist")):
        with pytest.raises(MsamError, match=rf"needs {package}.*pip install 'msam-lib\[cluster\]'"):
            check_place(on)
    arguments = ["compare", "--methods", "joint", "--store", str(tmp_path), "--on", "dask"]
    assert main(arguments) == 2 and "msam-lib[cluster]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_scheduler_that_is_not_there_is_explained(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(MsamError, match=r"No scheduler answers at tcp://127\.0\.0\.1:9"):
        list(finished_on("tcp://127.0.0.1:9", print, [1], jobs=1))


def test_an_existing_scheduler_is_used(tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "protocol": "tcp"}
    with distributed.LocalCluster(**options, dashboard_address="127.0.0.1:0") as made:
        items = [(tmp_path / f"task{k}", 0) for k in range(3)]
        ended = list(finished_on(made.scheduler_address, note, items, jobs=1))
    assert [error for _, error in ended] == [None] * 3
    assert {p.read_text() for p in tmp_path.iterdir()} == {str(os.getpid())}
