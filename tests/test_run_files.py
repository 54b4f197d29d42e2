"""The files of a run: whole or absent, never executed, the mark of completion last."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from msam_lib._utils.files import write_atomically
from msam_lib.experiments.build import build_trainer
from msam_lib.training import History, Record, Run
from tests.test_training import small


class Killed(BaseException):
    """What a kill looks like from inside."""


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_write_that_is_cut_short_leaves_the_old_file(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_text("old and whole")

    def cut(target: Path) -> None:
        target.write_text("half")
        raise Killed

    with pytest.raises(Killed):
        write_atomically(path, cut)
    assert path.read_text() == "old and whole"


def test_a_save_that_is_cut_short_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "run", {}, {})
    run.save("checkpoint.pt", {"epoch": 1})

    def cut(content, target, *args, **kwargs) -> None:
        if hasattr(target, "write"):
            target.write(b"half")
        else:
            Path(target).write_bytes(b"half")
        raise Killed

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(Killed):
        run.save("checkpoint.pt", {"epoch": 2})
    monkeypatch.undo()
    assert run.load("checkpoint.pt") == {"epoch": 1}


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    run = Run.create(tmp_path / "run", {}, {})
    sprung = tmp_path / "sprung"
    torch.save({"epoch": Trap(sprung)}, run.path / "checkpoint.pt")
    with pytest.raises(Exception) as caught:
        run.load("checkpoint.pt")
    assert caught.value is not None and not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))  # the trap itself works
    assert sprung.exists()


def test_a_run_is_marked_as_done_after_its_model_is_there(tmp_path):
    trainer = build_trainer(small(epochs=1), tmp_path)
    save = trainer.run.save

    def dying(name, content, **options):
        if name == "model.pt":
            raise Killed
        return save(name, content, **options)

    trainer.run.save = dying
    with pytest.raises(Killed):
        trainer.fit(1)
    assert trainer.run.state == "resumable"
    trainer.run.save = save
    trainer.fit(1)
    assert trainer.run.finished and (trainer.run.path / "model.pt").exists()


def test_a_number_that_was_cut_is_no_number(tmp_path):
    path = tmp_path / "metrics.csv"
    rows = [Record(e, e, "test", "fused", "accuracy", 0.97) for e in (0, 1)]
    History(path).extend(rows)
    path.write_text(path.read_text()[:-2])  # ends with "0.9"
    again = History(path)
    again.keep_until(1)
    assert again.records == rows[:1]
