"""Faults tried on sweeps of small runs, and how many lost nothing: `python -m tools.faults`.

After every fault the same command is given again, and all runs have to be finished with exactly the
measurements and weights of an undisturbed sweep. Needs the extra `cluster`; two faults mount file
systems and are left out where that is not allowed. All faults take some ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

import torch

from msam_lib.experiments.build import run_experiment
from msam_lib.training import list_runs
from tools.fault_kinds import command, one, trials


def lost(store: Path, whole: Path) -> str:
    """What a store lacks of an undisturbed one: the same finished runs, bit for bit, and nothing
    left over; empty where it lacks nothing.
    """
    runs, wanted = list_runs(store), list_runs(whole)
    if [r.name for r in runs] != [r.name for r in wanted]:
        return f"{len(runs)} of {len(wanted)} runs"
    if left := [p.name for p in store.rglob("*.tmp")]:
        return f"left over: {left}"
    for mine, theirs in zip(runs, wanted, strict=True):
        models = mine.load("model.pt"), theirs.load("model.pt")
        rows = [(r.path / "metrics.csv").read_bytes() for r in (mine, theirs)]
        if not mine.finished or models[0] is None or models[1] is None:
            return f"{mine!r} is not finished"
        if rows[0] != rows[1]:
            return f"{mine!r} has other measurements"
        if not all(torch.equal(w, models[1][name]) for name, w in models[0].items()):
            return f"{mine!r} has other weights"
    return ""


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often every kill is tried (5)")
    parser.add_argument("--only", default="", help="faults whose name has this word")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, draw = Path(name), random.Random(0)
        command(folder / "whole", "--jobs", "1")
        run_experiment(one(), folder / "alone", progress=False)
        for fault, wanted, attempt in trials(args.times, folder / "whole", folder / "alone"):
            if args.only not in fault:
                continue
            store = folder / "tried"
            shutil.rmtree(store, ignore_errors=True)
            seen = attempt(store, draw)
            if wanted == folder / "alone":
                run_experiment(one(), store, progress=False)
            if seen is None:  # the training was over before
                continue
            why = lost(store, wanted) if seen else "the command ended otherwise than expected"
            if why:
                print(f"{fault}: {why}", file=sys.stderr)
            counts = table.setdefault(fault, [0, 0])
            counts[0] += 1
            counts[1] += not why
    print("| fault | tried | lost nothing |\n| --- | ---: | ---: |")
    for fault, (tried, kept) in table.items():
        print(f"| {fault} | {tried} | {kept} |")
    return int(any(tried != kept for tried, kept in table.values()))


if __name__ == "__main__":
    sys.exit(run())
