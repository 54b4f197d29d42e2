"""Damaged runs: each damage is explained, repaired, and the end is that of an undisturbed run."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import zipfile

import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.errors import CannotWrite, MsamError, RunBusy, RunDamaged
from msam_lib.experiments.build import build_trainer, run_experiment, trained_model
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.runs import freeze_runs
from msam_lib.experiments.measurements import collect
from msam_lib.training import Run, repair

SMALL = Experiment(
    dataset="synthetic", method="msam", epochs=4, width=2, batch_size=16, device="cpu", seed=3,
    data_options={"n_train": 64, "n_val": 40, "n_test": 60},
)  # fmt: skip


class Killed(BaseException):
    """What a kill looks like from inside."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """`whole`: finished; `cut`: killed in the fourth epoch; `other`: another finished run."""
    folder = tmp_path_factory.mktemp("runs")
    run_experiment(SMALL, folder / "whole", progress=False)
    run_experiment(SMALL.replace(seed=4), folder / "other", progress=False)
    trainer = build_trainer(SMALL, folder / "cut", progress=False)

    def die(steps, logs):
        if trainer.epoch == 3:
            raise Killed

    trainer.on_step = die
    with pytest.raises(Killed):
        trainer.fit(SMALL.epochs)
    return folder


@pytest.fixture
def cut(store, tmp_path):
    shutil.copytree(store / "cut" / SMALL.name, tmp_path / SMALL.name)
    return Run(tmp_path / SMALL.name)


def same(run, store):
    """Whether a run has exactly the measurements and weights of the undisturbed one."""
    whole = Run(store / "whole" / SMALL.name)
    files = [(r.path / "metrics.csv").read_bytes() for r in (run, whole)]
    mine, theirs = (r.load("model.pt") for r in (run, whole))
    return (
        run.finished
        and files[0] == files[1]
        and all(map(torch.equal, mine.values(), theirs.values()))
    )


def change(path, edit):
    content = bytearray(path.read_bytes())
    path.write_bytes(edit(content))


def flip(content):
    """One bit of the largest tensor changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        data = archive.read(max(archive.infolist(), key=lambda part: part.file_size))
    content[content.find(data) + len(data) // 2] ^= 1
    return content


def folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "truncated": ("checkpoint.pt", lambda p, o: change(p, lambda c: c[: len(c) // 2])),
    "empty": ("checkpoint.pt", lambda p, o: p.write_bytes(b"")),
    "garbage": ("checkpoint.pt", lambda p, o: p.write_bytes(b"garbage" * 999)),
    "one bit": ("checkpoint.pt", lambda p, o: change(p, flip)),
    "another run's": ("checkpoint.pt", lambda p, o: shutil.copy(o / p.name, p)),
    "no checkpoint": ("checkpoint.pt", lambda p, o: shutil.copy(o / "model.pt", p)),
    "a folder": ("checkpoint.pt", lambda p, o: folder(p)),
    "cut": ("metrics.csv", lambda p, o: change(p, lambda c: c[: len(c) // 3])),
    "changed": ("metrics.csv", lambda p, o: change(p, lambda c: c.replace(b"0.", b"1.", 1))),
    "no numbers": ("metrics.csv", lambda p, o: change(p, lambda c: c.replace(b"0,0", b"x,0", 1))),
    "missing": ("metrics.csv", lambda p, o: p.unlink()),
    "a list": ("config.json", lambda p, o: p.write_text("[1]")),
    "no JSON": ("config.json", lambda p, o: p.write_text('{"epochs":')),
    "other values": ("config.json", lambda p, o: shutil.copy(o / p.name, p)),
    "other types": ("config.json", lambda p, o: p.write_text('{"epochs": {"a": 1}}')),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_explained_and_repaired(damage, cut, store, capsys):
    name, make = DAMAGES[damage]
    make(cut.path / name, next((store / "other").iterdir()))
    before = {p.name for p in cut.path.iterdir()}
    with pytest.raises(RunDamaged) as caught:
        run_experiment(SMALL, cut.path.parent, progress=False)
    message = str(caught.value)
    assert f"{cut.path / name} is damaged: " in message and "other files are kept" in message
    assert f"`python -m msam_lib repair {cut.path}`" in message
    assert {p.name for p in cut.path.iterdir()} == before
    assert main(["repair", str(cut.path)]) == 0
    said = capsys.readouterr().out
    epoch = 2 if name == "checkpoint.pt" else 3
    assert f"The next training resumes after epoch {epoch}." in said
    assert same(run_experiment(SMALL, cut.path.parent, progress=False), store)
    assert repair(cut) == []


def test_with_nothing_whole_left_a_run_starts_again(cut, store):
    for name in ("checkpoint.pt", "checkpoint.previous.pt", "config.json"):
        (cut.path / name).write_bytes(b"x")
    did = repair(cut)
    assert did[-1] == "The next training starts from the beginning."
    assert "checkpoint.pt.damaged-1" in did[0] and (cut.path / "checkpoint.pt.damaged-1").exists()
    assert same(run_experiment(SMALL, cut.path.parent, progress=False), store)


def test_a_kill_between_two_renames_costs_an_epoch(cut, store):
    (cut.path / "checkpoint.pt").unlink()
    assert same(run_experiment(SMALL, cut.path.parent, progress=False), store)


@pytest.mark.parametrize("name", ["model.pt", "metrics.csv", "config.json", "DONE"])
def test_a_finished_run_is_verified_and_completed_again(name, store, tmp_path):
    shutil.copytree(store / "whole" / SMALL.name, tmp_path / SMALL.name)
    run = Run(tmp_path / SMALL.name)
    content = {"config.json": b"[]", "DONE": b"{}"}
    half = (run.path / name).read_bytes()[:-900]
    (run.path / name).write_bytes(content.get(name, half))
    with pytest.raises(RunDamaged, match=f"{name} is damaged"):
        trained_model(run) if name == "model.pt" else collect(run.path)
    assert any(name in line for line in repair(run))
    assert same(run_experiment(SMALL, tmp_path, progress=False), store)


@pytest.mark.parametrize("content", ["[1]", "{", '"x"'])
def test_a_provenance_of_another_form_is_explained(content, store, tmp_path):
    shutil.copytree(store / "whole" / SMALL.name, tmp_path / SMALL.name)
    run = Run(tmp_path / SMALL.name)
    (run.path / "environment.json").write_text(content)
    with pytest.raises(RunDamaged, match=r"environment\.json is damaged"):
        freeze_runs(run.path, "x", tmp_path)
    assert "environment.json is restored from the checkpoint." in repair(run)
    assert json.loads(
        freeze_runs(run.path, "x", tmp_path).with_name("x.provenance.json").read_text()
    )


def test_what_is_whole_or_busy_or_no_run_is_left_alone(cut, tmp_path, capsys):
    before = {p.name: p.read_bytes() for p in cut.path.iterdir()}
    assert repair(cut) == []
    assert {p.name: p.read_bytes() for p in cut.path.iterdir()} == before
    with cut.lock(), pytest.raises(RunBusy, match=f"process {os.getpid()} on"):
        repair(cut)
    with cut.lock(), pytest.raises(RunBusy):
        run_experiment(SMALL, cut.path.parent, progress=False)
    (tmp_path / "empty").mkdir()
    assert main(["repair", str(tmp_path / "empty")]) == 2
    assert "is not a run directory" in capsys.readouterr().err


@pytest.mark.parametrize("write", range(6))
def test_a_full_disk_is_explained_and_loses_nothing(write, store, tmp_path, monkeypatch):
    left = iter(range(4 * write))
    fsync = os.fsync

    def full(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return fsync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CannotWrite, match=r"No space left on device.*Free some space"):
            run_experiment(SMALL, tmp_path, progress=False)
    assert not list(tmp_path.rglob("*.tmp"))
    assert same(run_experiment(SMALL, tmp_path, progress=False), store)


def test_a_read_only_store_is_explained(cut, monkeypatch):
    def read_only(path, flags, *rest, **more):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *rest, **more)

    opened = os.open
    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(CannotWrite, match="Read-only file system"):
        run_experiment(SMALL, cut.path.parent, progress=False)


@pytest.mark.parametrize("name", ["../x", "a/b", "/x", "..", ".x", "x.csv.gz", "", "a\\b"])
def test_frozen_results_stay_in_their_folder(name, store, tmp_path, capsys):
    arguments = ["--store", str(store / "whole"), "--out", str(tmp_path / "out")]
    assert main(["freeze", name, *arguments]) == 2
    assert f"name={name!r}; frozen results have a plain name" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_configuration_that_is_none_is_explained():
    with pytest.raises(MsamError, match=r"not the configuration of a run .*repair runs/x"):
        Experiment.from_dict({"epochs": [1], "seed": 0}, "runs/x")
