"""Workers: a dead one is renewed, its task taken up again; none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from msam_lib._utils.files import alive
from msam_lib._utils.processes import finished


def note(item):
    """Write that the task was begun; die at the first `item[1]` attempts."""
    folder, deaths = item
    begun = len(list(folder.parent.glob(f"{folder.name}.*")))
    (folder.parent / f"{folder.name}.{begun}").write_text(str(os.getpid()))
    if begun < deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)


def test_a_dead_workers_task_is_taken_up_twice_and_the_others_are_done_once(tmp_path):
    items = [(tmp_path / f"task{k}", {1: 2, 3: 9}.get(k, 0)) for k in range(6)]
    ended = {item[0].name: error for item, error in finished(note, items, jobs=2)}
    begun = {name: len(list(tmp_path.glob(f"{name}.*"))) for name in ended}
    assert begun == {"task0": 1, "task1": 3, "task2": 1, "task3": 3, "task4": 1, "task5": 1}
    assert [n for n, error in ended.items() if error] == ["task3"]
    assert "ended 3 times, last by signal SIGKILL" in str(ended["task3"])


PARENT = """
import sys, time
from pathlib import Path
from msam_lib._utils.processes import finished
from tests.test_processes import hold
if __name__ == "__main__":
    list(finished(hold, [Path(sys.argv[1]) / "a", Path(sys.argv[1]) / "b"], jobs=2))
"""


def hold(path):
    """A task that takes longer than any test."""
    path.write_text(str(os.getpid()))
    time.sleep(60)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda s: s.name)
def test_workers_end_with_their_parent(how, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, str(script), str(tmp_path)]
    parent = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(root)})
    pids = [tmp_path / "a", tmp_path / "b"]
    until(lambda: all(p.exists() and p.read_text() for p in pids))
    parent.send_signal(how)
    parent.wait(10)
    workers = [int(p.read_text()) for p in pids]
    try:
        until(lambda: not any(map(alive, workers)), 3)
    finally:
        for worker in filter(alive, workers):
            os.kill(worker, signal.SIGKILL)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
