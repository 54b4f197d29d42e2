"""Copies of the library in which faults are tried; the checkout itself is never edited."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tools.mutants.mutant import ROOT, Mutant

COPIED = ("msam_lib", "tests", "benchmarks", "pyproject.toml")
SECONDS = 300  # for the tests of one fault; one that makes them hang is noticed, too
STAMPS = itertools.count(1_000_000_000)  # times of last changes, in whole seconds
OUTCOMES = {0: "survived", 1: "killed"}  # by pytest's exit code; others: the tests did not run


class Result(NamedTuple):
    """How one fault ended: killed, survived, or broken (no test could tell); with the time taken
    and the last lines of pytest.
    """

    mutant: Mutant | None
    outcome: str
    seconds: float
    output: str


def copied(folder: Path) -> Path:
    """A copy of the library and its tests in this folder."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return folder


def run_tests(folder: Path, arguments: Sequence[str], seconds: float | None = SECONDS) -> Result:
    """pytest in a copy, until the first failure."""
    environment = dict(os.environ) | {
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, timeout=seconds, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return Result(None, "killed", time.monotonic() - started, "the tests did not end")
    output = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
    outcome = OUTCOMES.get(done.returncode, "broken")
    return Result(None, outcome, time.monotonic() - started, output)


def attempt(folder: Path, mutant: Mutant) -> Result:
    """One fault in a copy, which is mended afterwards."""
    path = folder / "msam_lib" / mutant.file
    source = path.read_bytes()
    try:
        written(path, mutant.applied(source.decode()).encode())
        return run_tests(folder, mutant.arguments)._replace(mutant=mutant)
    except LookupError as error:
        return Result(mutant, "broken", 0.0, str(error))
    finally:
        written(path, source)


def written(path: Path, source: bytes) -> None:
    """Write a version of a file, with a time of its own: bytecode of another one does not fit."""
    path.write_bytes(source)
    os.utime(path, (stamp := next(STAMPS), stamp))


def attempts(mutants: Sequence[Mutant], jobs: int) -> Iterator[Result]:
    """Every fault by itself, as many at a time as there are jobs; results as they come."""
    with TemporaryDirectory(prefix="mutants-") as place, ThreadPoolExecutor(jobs) as pool:
        folders: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            folders.put(copied(Path(place) / str(number)))

        def one(mutant: Mutant) -> Result:
            folder = folders.get()
            try:
                return attempt(folder, mutant)
            finally:
                folders.put(folder)

        futures = [pool.submit(one, m) for m in mutants]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:  # interrupted: those that wait are not begun
            for future in futures:
                future.cancel()


def unchanged(mutants: Sequence[Mutant]) -> Result:
    """The tests of these faults on a copy without any: they have to pass."""
    arguments = sorted({a for m in mutants for a in m.arguments})
    with TemporaryDirectory(prefix="mutants-") as place:
        return run_tests(copied(Path(place) / "unchanged"), arguments, seconds=None)
