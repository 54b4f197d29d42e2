"""24 runs by two processes and by two dask workers, of which one is killed twice: wall times, and
whether the runs are the same: `python -m tools.sweep_cost`. Needs the extra `cluster`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.runner import run_all
from tools.faults import lost

METHODS = ("joint", "msam", "sam")
KILL_AT = (6, 14)  # finished runs


def experiments(epochs: int) -> list[Experiment]:
    """Three methods, eight seeds."""
    same = {"dataset": "synthetic", "device": "cpu", "epochs": epochs}
    same |= {"data_options": {"n_train": 1000, "n_val": 200, "n_test": 200}}
    return [Experiment.preset("smoke", method=m, seed=s, **same) for m in METHODS for s in range(8)]


def kill_twice(store: Path, killed: list[int]) -> None:
    """Kill a worker of this process after so many runs have finished, and again later."""
    for count in KILL_AT:
        while len(list(store.glob("*/DONE"))) < count:
            time.sleep(0.02)
        children = psutil.Process(os.getpid()).children(recursive=True)
        workers = [p for p in children if "spawn_main" in " ".join(p.cmdline())]
        killed.append(workers[0].pid)
        workers[0].kill()


def sweep(store: Path, on: str, epochs: int, killed: list[int] | None = None) -> float:
    """Wall time of the sweep in seconds; with a list, one worker is killed twice."""
    if killed is not None:
        threading.Thread(target=kill_twice, args=(store, killed), daemon=True).start()
    start = time.perf_counter()
    run_all(experiments(epochs), store, jobs=2, on=on, progress=False)
    return time.perf_counter() - start


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30, help="of every run (30)")
    args = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "local"
        base = sweep(whole, "local", args.epochs)
        print(f"| 24 runs | seconds | to jobs=2 | killed | equal |\n{'| --- ' * 5}|")
        print(f"| jobs=2, without dask | {base:.1f} | 1 | 0 | |", flush=True)
        for on, disturb in (("dask", False), ("dask", True), ("local", True)):
            store = Path(name) / f"{on}-{disturb}"
            store.mkdir()
            killed: list[int] = []
            seconds = sweep(store, on, args.epochs, killed if disturb else None)
            same = not lost(store, whole) and len(killed) == 2 * disturb
            failures += not same
            ratio = f"{seconds / base:.2f} | {len(killed)} | {'yes' if same else 'NO'}"
            print(f"| on={on} | {seconds:.1f} | {ratio} |", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(run())
