"""The share of a training step that its checks take: `python benchmarks/checks_cost.py --json`.

A step with the checks and one without, interleaved in one process on one thread; the share is the
median over pairs of (with - without) / with. The first step, which checks everything, is measured
apart. Networks and shapes are those of the `teach` presets.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from step_cost import PRESETS, preset  # its neighbour: this file is run as a script

from msam_lib.methods import _ranks, build_method

TARGET = 0.02


@contextmanager
def unchecked() -> Iterator[None]:
    """Inside, steps are not checked."""
    parts, step = _ranks.check_parts, _ranks.checked_step
    _ranks.check_parts = lambda *arguments: None
    _ranks.checked_step = lambda *arguments: nullcontext()
    try:
        yield
    finally:
        _ranks.check_parts, _ranks.checked_step = parts, step


def share(network: str, name: str, pairs: int) -> dict[str, Any]:
    """{"share", "step_us", "checks_us", "first_us"} of a method on a preset's network."""
    model, batch = preset(network)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def timed(method: Any) -> float:
        start = time.perf_counter()
        method.step(model, batch, optimizer)
        return time.perf_counter() - start

    method = build_method(name)
    with unchecked():
        for _ in range(10):
            timed(method)
        plain = statistics.median(timed(build_method(name)) for _ in range(20))
    first = statistics.median(timed(build_method(name)) for _ in range(20))
    timed(method)
    on, off = [], []
    for k in range(pairs):
        for checked in (True, False) if k % 2 else (False, True):
            if checked:
                on.append(timed(method))
            else:
                with unchecked():
                    off.append(timed(method))
    # Differences of neighbours, so that a machine whose speed drifts slows both.
    cost = statistics.median(a - b for a, b in zip(on, off, strict=True))
    return {
        "share": statistics.median((a - b) / a for a, b in zip(on, off, strict=True)),
        "step_us": 1e6 * statistics.median(on),
        "checks_us": 1e6 * cost,
        "first_us": 1e6 * (first - plain),
    }


def main() -> None:
    """Measure and print a row per preset and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--methods", nargs="+", default=["joint", "msam"])
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for network in args.presets:
        for name in args.methods:
            row = rows[f"{network} {name}"] = share(network, name, args.pairs)
            if not args.json:
                print(
                    f"{network:16} {name:8} {100 * row['share']:5.2f} % of {row['step_us']:7.0f} µs"
                    f" (checks {row['checks_us']:5.1f} µs, at the first step"
                    f" {row['first_us']:6.0f} µs more)"
                )
    worst = max(row["share"] for row in rows.values())
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        print(f"largest share {100 * worst:.2f} %; the target is {100 * TARGET:.0f} %")


if __name__ == "__main__":
    main()
