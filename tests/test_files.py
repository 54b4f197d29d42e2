"""Files are complete or absent, and one process at a time writes a folder, whoever is killed."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from msam_lib._utils import files
from msam_lib._utils.files import alive, locked, sweep_temporary, write_atomically, write_bytes
from msam_lib.errors import CannotWrite, RunBusy
from msam_lib.experiments.choices import store_choices

ROOT = Path(__file__).resolve().parents[1]

WRITER = """
import hashlib, random, sys
from pathlib import Path
from msam_lib._utils.files import write_bytes
path, draw = Path(sys.argv[1]), random.Random(sys.argv[2])
for _ in range(150):
    content = draw.randbytes(draw.randrange(20_000))
    write_bytes(path, hashlib.sha256(content).digest() + content)
print("done")
"""
HOLDER = """
import sys, time
from pathlib import Path
from msam_lib._utils.files import locked
with locked(Path(sys.argv[1]), "The run"):
    print("held", flush=True)
    time.sleep(60)
"""


def python(script: str, *arguments: object, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **options)


def test_two_writers_of_one_file_lose_nothing(tmp_path):
    path = tmp_path / "checkpoint.pt"
    writers = [python(WRITER, path, seed) for seed in (1, 2)]
    read = 0
    while any(w.poll() is None for w in writers):
        if path.exists():
            content = path.read_bytes()
            assert hashlib.sha256(content[32:]).digest() == content[:32]
            read += 1
    assert [w.communicate()[0] for w in writers] == ["done\n"] * 2
    assert read > 10 and [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("when", ["save", "fsync", "replace"])
def test_a_failing_write_changes_nothing(error, when, tmp_path, monkeypatch):
    path = write_bytes(tmp_path / "a", b"before")

    def fail(*args, **kwargs):
        raise error

    def save(temporary):
        temporary.write_bytes(b"half")
        if when == "save":
            raise error

    if when != "save":
        monkeypatch.setattr(os, when, fail)
    wanted = CannotWrite if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(wanted) as caught:
        write_atomically(path, save)
    assert path.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == ["a"]
    if wanted is CannotWrite:
        assert "No space left" in str(caught.value) and str(path) in str(caught.value)


def test_a_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "store").write_text("")
    with (
        pytest.raises(CannotWrite, match="store cannot be written"),
        locked(tmp_path / "store", "The run"),
    ):
        pass


def test_only_what_dead_processes_left_is_swept(tmp_path):
    dead = python("import os; print(os.getpid())")
    number = int(dead.communicate()[0])
    names = []

    def save(temporary):
        names.append(temporary.name)
        temporary.write_bytes(b"")

    write_atomically(tmp_path / "a", save)
    mine = tmp_path / names[0]
    theirs = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{number}-"))
    elsewhere = mine.with_name(mine.name.replace(".a.", ".a.another_host_"))
    for path in (mine, theirs, elsewhere):
        path.write_bytes(b"")
    assert sweep_temporary(tmp_path) == [theirs]
    assert mine.exists() and elsewhere.exists() and not theirs.exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="zombies are seen in /proc")
def test_a_process_that_nobody_has_waited_for_is_dead(tmp_path):
    # Where nothing adopts orphans, a killed worker stays a zombie as long as the machine runs.
    zombie = python("import sys; sys.stdin.read()", stdin=subprocess.PIPE)
    number, name = zombie.pid, f".a.{files._HOST}-{zombie.pid}-01234567.tmp"
    (tmp_path / name).write_bytes(b"")
    assert alive(number) and sweep_temporary(tmp_path) == []
    zombie.kill()
    os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
    assert not alive(number) and sweep_temporary(tmp_path) == [tmp_path / name]
    zombie.communicate()


def test_what_was_left_is_swept_at_the_end_too(tmp_path, monkeypatch):
    # The dying writer's lock may be free a moment before its process is gone.
    left = tmp_path / f".a.{files._HOST}-{os.getpid()}-01234567.tmp"
    left.write_bytes(b"")
    with locked(tmp_path, "The run"):
        assert left.exists()
        monkeypatch.setattr(files, "alive", lambda process: False)
    assert not left.exists()


def test_a_second_writer_is_refused_until_the_first_dies(tmp_path):
    holder = python(HOLDER, tmp_path / "run")
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunBusy) as caught, locked(tmp_path / "run", "The run"):
            pass
        assert str(tmp_path / "run") in str(caught.value)
        assert f"process {holder.pid} on " in str(caught.value)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with locked(tmp_path / "run", "The run"):
        pass
    assert [p.name for p in (tmp_path / "run").iterdir()] == [".lock"]


def test_searches_that_end_together_keep_each_others_choices(tmp_path):
    path = tmp_path / "digits-late.json"

    def add(name):
        for k in range(8):
            store_choices(path, {f"{name}{k}": {"lr": 0.1}}, {"budget": 3})

    threads = [threading.Thread(target=add, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text().count('"lr"') == 16
