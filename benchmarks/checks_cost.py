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
from step_cost import PRESETS  # its neighbour: this file is run as a script

from msam_lib.data import Batch, Modality
from msam_lib.methods import base, build_method
from msam_lib.models import build_model

TARGET = 0.02


@contextmanager
def unchecked() -> Iterator[None]:
    """Inside, steps are not checked."""
    parts, step = base.check_parts, base.checked_step
    base.check_parts = lambda *arguments: None
    base.checked_step = lambda *arguments: nullcontext()
    try:
        yield
    finally:
        base.check_parts, base.checked_step = parts, step


def share(preset: str, name: str, pairs: int, size: int = 64) -> dict[str, Any]:
    """{"share", "step_us", "checks_us", "first_us"} of a method on a preset's network; batches of
    `size` samples.
    """
    torch.manual_seed(0)
    kinds, classes, fusion, encoder, width = PRESETS[preset]
    specs = {f"x{i}": Modality(*k) for i, k in enumerate(kinds)}
    options = {"hidden": (128, 64)} if fusion == "maxout" else {}
    model = build_model(specs, fusion, classes=classes, encoder=encoder, width=width, **options)
    inputs = {m: torch.randn(size, *spec.shape) for m, spec in specs.items()}
    batch = Batch(inputs, torch.randint(classes, (size,)))
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
    for preset in args.presets:
        for name in args.methods:
            row = rows[f"{preset} {name}"] = share(preset, name, args.pairs)
            if not args.json:
                print(
                    f"{preset:16} {name:8} {100 * row['share']:5.2f} % of {row['step_us']:7.0f} µs"
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
