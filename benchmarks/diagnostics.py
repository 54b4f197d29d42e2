"""Curvature and landscapes against PyHessian and loss-landscapes: `python benchmarks/diagnostics.py
--json`.

Both sides compute the same numbers: the same weights, samples, points and probe vectors, through
the adapters of `msam_lib.diagnostics.external`, and the results are compared before anything is
timed. One process, one thread; A and B take turns, the ratio is the median over rounds
of CPU time (theirs / ours), so a machine whose speed drifts slows both. `ratio` is a speed-up:
larger is better.

A plane in which all parameters move needs a forward pass for each point, and nothing can be reused.
So beside its ratio stands the best that any code could reach with these kernels: theirs against our
network's forward passes alone, with batch normalisation folded, channels last, no weight ever moved
and no loss computed. The target follows from that bound.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from msam_lib._utils.progress import progress_bar
from msam_lib.data import Batch, Modality
from msam_lib.diagnostics import block_traces, hessian_trace, plane, random_direction
from msam_lib.diagnostics._samples import ALL_SAMPLES
from msam_lib.diagnostics.external import LossLandscapes, PyHessian
from msam_lib.diagnostics.landscape._grid import Grid
from msam_lib.models import build_model

CLASSES, STEPS = 10, 25
PROBES = 10
SHAPES = {"x1": (1, 16, 16), "x2": (1, 16, 16)}


def problem(width: int, samples: int):
    """Two encoders of equal cost with late fusion, and statistics that are not those of an
    untrained net.
    """
    torch.manual_seed(0)
    specs = {m: Modality("image", s) for m, s in SHAPES.items()}
    model = build_model(specs, "late", classes=CLASSES, width=width)
    batch = Batch(
        {m: torch.randn(samples, *s) for m, s in SHAPES.items()}, torch.randint(CLASSES, (samples,))
    )
    model.train()
    for _ in range(3):
        model(batch.inputs)
    return model.eval(), batch


def speed_up(theirs: Callable[[], Any], ours: Callable[[], Any], rounds: int) -> float:
    """Median over rounds of the CPU time of `theirs` divided by that of `ours`, taken in turn."""
    theirs(), ours()
    ratios = []
    for k in range(rounds):
        times = {}
        for name, call in (("t", theirs), ("o", ours))[:: 1 if k % 2 else -1]:
            gc.collect()
            start = time.process_time()
            call()
            times[name] = time.process_time() - start
        ratios.append(times["t"] / times["o"])
    return statistics.median(ratios)


def check(name: str, ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> float:
    """The largest difference relative to the largest value; stops the benchmark where it is too
    large.
    """
    error = float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())
    if not error <= tolerance:
        sys.exit(
            f"{name}: the two answers differ by {error:.2g} (allowed {tolerance:g}); "
            "nothing was timed."
        )
    return error


def traces(rounds: int) -> list[dict[str, Any]]:
    """All blocks' traces and the total, against PyHessian block by block."""
    model, batch = problem(32, 256)
    blocks = [*model.modalities, "fusion", "all"]
    # First that both give the same numbers: block by block, in all, and the split of one product.
    errors = [
        check(
            f"trace of {b}",
            hessian_trace(model, batch, b, probes=3, seed=1).samples,
            PyHessian(model, batch, b).trace(probes=3, seed=1),
            1e-3,
        )
        for b in blocks
    ]
    split = block_traces(model, batch, probes=3, seed=1)
    theirs = PyHessian(model, batch)
    for m in model.modalities:
        names = set(model.blocks()[m])
        parts = []
        for k in range(3):
            z = theirs.probe(k, seed=1)
            named = theirs.layout.named(z * theirs.product(z))
            parts.append(sum(float(t.sum()) for n, t in named.items() if n in names))
        errors.append(check(f"split trace of {m}", split[m].samples, np.array(parts), 1e-3))
    del theirs

    def block_by_block() -> None:
        for b in blocks:
            PyHessian(model, batch, b).trace(probes=PROBES, seed=1)

    def at_once() -> None:
        block_traces(model, batch, probes=PROBES, seed=1, progress=False)

    value = speed_up(block_by_block, at_once, rounds)
    size = sum(p.numel() for p in model.parameters())
    setting = (
        f"late, M=2, {size} weights, 256 samples, {PROBES} probes; differs by {max(errors):.1e}"
    )
    name = "traces of all blocks and the total"
    out = [row(name, "PyHessian block by block", setting, value, 2.2)]
    return [*out, *spread(model, batch)]


def spread(model, batch) -> list[dict[str, Any]]:
    """What splitting one probe costs in precision: its standard error over that of probes for the
    block alone.
    """
    out = []
    split = block_traces(model, batch, probes=60, seed=5, progress=False)
    for m in model.modalities:
        alone = hessian_trace(model, batch, m, probes=60, seed=5, progress=False)
        value = split[m].std_error / alone.std_error
        out.append(
            row(
                f"standard error of a split probe, {m}",
                "separate probes",
                "60 probes",
                value,
                None,
            )
        )
    return out


def planes(rounds: int) -> list[dict[str, Any]]:
    """25x25 planes of three kinds, against loss-landscapes at the same points."""
    model, batch = problem(32, 128)
    cases = [
        ("encoder A x encoder B", ("x1", "x2"), 15.0),
        ("inside one encoder", ("x1", "x1"), 1.9),
        ("all parameters", ("all", "all"), 1.1),
    ]
    out = []
    for name, (a, b), target in progress_bar(cases, desc="planes"):
        pair = (random_direction(model, a, seed=2), random_direction(model, b, seed=3))
        ours = plane(model, batch, directions=pair, steps=STEPS, progress=False)
        theirs = LossLandscapes(model, batch).plane(*pair, ours.x, ours.y)
        error = check(name, ours.loss, theirs, 1e-4)
        value = speed_up(
            lambda pair=pair, o=ours: LossLandscapes(model, batch).plane(*pair, o.x, o.y),
            lambda pair=pair: plane(model, batch, directions=pair, steps=STEPS, progress=False),
            rounds,
        )
        setting = f"late fusion, 25x25, 128 samples; differs by {error:.1e}"
        out.append(row(f"plane, {name}", "loss-landscapes", setting, value, target))
    directions = (dict(pair[0]), dict(pair[1]))  # of the last case
    grid = Grid(model, [batch], directions, sampling=ALL_SAMPLES, cache=False, fast=True)

    @torch.no_grad()
    def passes() -> None:
        for _ in range(STEPS**2):
            grid.model(batch.inputs)

    value = speed_up(
        lambda: LossLandscapes(model, batch).plane(*pair, ours.x, ours.y), passes, rounds
    )
    name = "bound: forward passes alone, all parameters"
    return [*out, row(name, "loss-landscapes", f"{STEPS**2} passes", value, None)]


def memory() -> list[dict[str, Any]]:
    """Peak memory of the process after 100 probes over that after 10, and the same for objects
    built and dropped.
    """
    model, batch = problem(8, 128)
    hessian_trace(model, batch, probes=10, progress=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hessian_trace(model, batch, probes=100, progress=False)
    for _ in range(10):
        block_traces(model, batch, probes=1, progress=False)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    setting = "100 probes, then ten calls"
    return [row("peak memory after 100 probes", "after 10 probes", setting, after / before, 1.02)]


def row(
    name: str, against: str, setting: str, value: float, target: float | None
) -> dict[str, Any]:
    return {
        "name": name,
        "against": against,
        "setting": setting,
        "ratio": round(value, 3),
        "target": target,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--rounds", type=int, default=9, help="rounds per comparison (9)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # Memory first: the peak of a process never falls again.
    rows = memory() + traces(arguments.rounds) + planes(arguments.rounds)
    report(rows, as_json=arguments.json)


def report(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print the rows as JSON or as a table."""
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for r in rows:
        target = "" if r["target"] is None else f"  (target {r['target']})"
        print(f"{r['name']:48} {r['ratio']:7.3f}{target}   against {r['against']}; {r['setting']}")


if __name__ == "__main__":
    main()
