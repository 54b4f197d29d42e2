"""The faults: each does its damage to a store, and returns whether it ended as it should; None
where the training was over before.
"""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from unittest import mock

import psutil

from msam_lib.cli.main import main
from msam_lib.errors import CannotWrite, RunDamaged
from msam_lib.experiments.build import build_trainer, run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.training import repair
from tests.test_damage import DAMAGES

SIZES = {"n_train": 300, "n_val": 60, "n_test": 60}
EPOCHS = 12
COMMAND = [
    *"compare --preset smoke --dataset synthetic --device cpu --methods joint msam sam".split(),
    *f"--epochs {EPOCHS} --seeds 0 1 --data-options".split(),
    *(f"{k}={v}" for k, v in SIZES.items()),
]
ROOT = Path(__file__).resolve().parents[1]
# Forked, so that a command does not have to import torch again.
FORK = multiprocessing.get_context("fork")


def one(**changes: object) -> Experiment:
    """A small experiment."""
    same = {"dataset": "synthetic", "epochs": EPOCHS, "data_options": SIZES, "device": "cpu"}
    return Experiment.preset("smoke", **(same | {"method": "msam"} | changes))


def command(store: Path, *more: str) -> int:
    """Give the command in this process, in silence; returns its status."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return main([*COMMAND, "--store", str(store), *more])


def begin(store: Path, *more: str) -> multiprocessing.Process:
    """Start the command in a process of its own, and wait for the first checkpoint."""
    process = FORK.Process(target=lambda: os._exit(command(store, *more)))
    process.start()
    end = time.monotonic() + 60
    while not list(store.glob("*/checkpoint.pt")):
        if time.monotonic() > end or not process.is_alive():
            raise RuntimeError("the command did not begin")
        time.sleep(0.01)
    return process


def workers_of(process: multiprocessing.Process) -> list[psutil.Process]:
    """The processes that a command trains in."""
    found = psutil.Process(process.pid).children(recursive=True)
    return [p for p in found if "spawn_main" in " ".join(p.cmdline())]


def pause(draw: random.Random) -> None:
    time.sleep(draw.uniform(0, 0.8))


def parent_killed(store: Path, draw: random.Random, how: int) -> bool:
    process = begin(store, "--jobs", "2")
    pause(draw)
    os.kill(process.pid, how)
    process.join()
    return command(store, "--jobs", "1") == 0  # at once: the old workers may be about to write


def worker_killed(store: Path, draw: random.Random) -> bool:
    process = begin(store, "--jobs", "2")
    pause(draw)
    for worker in workers_of(process)[:1]:
        worker.kill()
    process.join(120)
    return process.exitcode == 0


def scheduler_killed(store: Path, draw: random.Random) -> bool:
    port = draw.randrange(20_000, 40_000)
    run = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    scheduler = started([*run, "--host", "127.0.0.1", "--port", str(port)])
    run = [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}"]
    worker = started([*run, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"])
    try:
        time.sleep(3)
        process = begin(store, "--on", f"tcp://127.0.0.1:{port}")
        pause(draw)
        scheduler.kill()
        process.join(60)
        failed = process.exitcode not in (0, None)
    finally:
        for started_here in (scheduler, worker):
            started_here.terminate()
            started_here.wait(20)
    return failed and command(store, "--jobs", "1") == 0


def started(arguments: list[str]) -> subprocess.Popen:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(arguments, cwd=ROOT, **quiet)


def two_commands(store: Path, draw: random.Random) -> bool:
    several = [FORK.Process(target=lambda: os._exit(command(store, "--jobs", "2")))]
    several += [FORK.Process(target=lambda: os._exit(command(store, "--jobs", "1")))]
    for process in several:
        process.start()
        pause(draw)
    for process in several:
        process.join(150)
    return [p.exitcode for p in several] == [0, 0]


def disk_full(store: Path, write: int) -> bool | None:
    """The disk is full from the `write`-th write on, until the command has failed."""
    left, sync = iter(range(write)), os.fsync

    def full(handle: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with mock.patch.object(os, "fsync", full):
        return explained(store, CannotWrite)


def mounted_full(store: Path, kilobytes: int) -> bool:
    """A file system of that size, which a ballast fills until the command has failed."""
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(store)], check=True)
    try:
        (store / "ballast").write_bytes(bytes((8192 - kilobytes) * 1024))
        failed = explained(store, CannotWrite)
        (store / "ballast").unlink()
        run_experiment(one(), store, progress=False)
        shutil.copytree(store / one().name, store.with_name("copy") / one().name)
    finally:
        subprocess.run(["umount", str(store)], check=True)
    store.rmdir()
    store.with_name("copy").rename(store)
    return bool(failed)


def read_only(store: Path, after: int) -> bool | None:
    """The file system is read-only after that many files were opened for writing."""
    left, opened = iter(range(after)), Path.open

    def refuse(path: Path, mode: str = "r", *rest: object, **more: object) -> IO:
        if mode not in ("r", "rb") and next(left, None) is None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, mode, *rest, **more)

    with mock.patch.object(Path, "open", refuse):
        return explained(store, CannotWrite)


def mounted_read_only(store: Path, epochs: int) -> bool:
    """The file system is read-only when the command is given again."""
    make = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(store)]
    store.mkdir()
    subprocess.run(make, check=True)
    try:
        stopped_after(store, epochs)
        subprocess.run(["mount", "-o", "remount,ro", str(store)], check=True)
        failed = explained(store, CannotWrite)
        subprocess.run(["mount", "-o", "remount,rw", str(store)], check=True)
        shutil.copytree(store, store.with_name("copy"))
    finally:
        subprocess.run(["umount", str(store)], check=True)
    store.rmdir()
    store.with_name("copy").rename(store)
    return bool(failed)


def stopped_after(store: Path, epochs: int) -> None:
    """Train the one experiment for some epochs, then stop in the next."""
    trainer = build_trainer(one(), store, progress=False)

    def stop(steps: int, logs: object) -> None:
        if trainer.epoch == epochs:
            raise InterruptedError

    trainer.on_step = stop
    with contextlib.suppress(InterruptedError):
        trainer.fit(EPOCHS)


def explained(store: Path, error: type[Exception]) -> bool | None:
    """Whether a training ends with that error; None where it ends without any."""
    try:
        run_experiment(one(), store, progress=False)
    except Exception as caught:
        return isinstance(caught, error)
    return None


def damaged(store: Path, damage: str, other: Path) -> bool:
    """The damage is done to a run that was stopped after three quarters of its epochs."""
    name, make = DAMAGES[damage]
    stopped_after(store, 3 * EPOCHS // 4)
    make(store / one().name / name, other)
    return bool(explained(store, RunDamaged) and repair(store / one().name))


def trials(times: int, whole: Path, alone: Path) -> Iterator[tuple[str, Path, Callable]]:
    """(fault, the store to compare with, what does it to a store and draws random numbers)."""
    other = next(p.parent for p in whole.glob("*/model.pt"))
    for _ in range(times):
        yield "parent killed, SIGKILL", whole, lambda s, d: parent_killed(s, d, signal.SIGKILL)
        yield "parent ended, SIGTERM", whole, lambda s, d: parent_killed(s, d, signal.SIGTERM)
        yield "worker killed, SIGKILL", whole, worker_killed
        yield "dask scheduler killed", whole, scheduler_killed
        yield "two commands at once", whole, two_commands
    for k in range(12 * times):
        yield "disk full at a write", alone, lambda s, d, k=k: disk_full(s, k)
        yield "read-only at a write", alone, lambda s, d, k=k: read_only(s, k)
    for k in range(2 * times if os.geteuid() == 0 else 0):
        yield "file system full", alone, lambda s, d, k=k: mounted_full(s, 3 + 14 * k)
        yield "file system read-only", alone, lambda s, d, k=k: mounted_read_only(s, k)
    for damage, (name, _) in DAMAGES.items():
        yield f"damaged {name}", alone, lambda s, d, x=damage: damaged(s, x, other)
