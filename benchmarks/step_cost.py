"""What a training step costs, as ratios measured side by side: `python benchmarks/step_cost.py`.

Every ratio interleaves the two steps compared in one process on one thread, A B A B ..., and is the
median over pairs of consecutive timings, so that a machine whose speed drifts slows both. Peak
memory is what torch's profiler counts as allocated during a step, above what was allocated before.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from naive_msam import NaiveMSAM  # its neighbour: this file is run as a script

from msam_lib._utils.progress import progress_bar
from msam_lib.contributions.measure import shapley_contributions
from msam_lib.data import Batch, Modality
from msam_lib.methods import Method, build_method
from msam_lib.models import build_model

CLASSES = 10
SETTINGS: dict[str, dict[str, Any]] = {
    # small CNN on AV-MNIST's laptop shapes; ResNet-18 (a quarter of its width) on 32x32
    "small_cnn": {"shapes": [(1, 28, 28), (1, 40, 49), (1, 28, 28)], "batch": 64, "width": 16},
    "resnet18": {"shapes": [(1, 32, 32), (1, 32, 32), (1, 32, 32)], "batch": 32, "width": 16},
}


def problem(encoder: str, fusion: str, m: int, shape: tuple[int, ...] | None = None):
    """A model and a batch of M modalities."""
    torch.manual_seed(0)
    s = SETTINGS[encoder]
    shapes = [shape or s["shapes"][i % 3] for i in range(m)]
    specs = {f"x{i}": Modality("image", x) for i, x in enumerate(shapes)}
    options = {"hidden": (256, 128)} if fusion == "maxout" else {}
    model = build_model(
        specs, fusion, classes=CLASSES, encoder=encoder, width=s["width"], **options
    )
    inputs = {k: torch.randn(s["batch"], *spec.shape) for k, spec in specs.items()}
    return model, Batch(inputs, torch.randint(CLASSES, (s["batch"],)))


def stepper(method: Method, model, batch: Batch) -> Callable[[], None]:
    """A training step without arguments; the weights hardly change, so its cost does not vary."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
    model.train()
    return lambda: method.step(model, batch, optimizer)


def ratio(a: Callable[[], Any], b: Callable[[], Any], pairs: int) -> float:
    """Median over pairs of CPU time of `a` divided by that of `b`, taken in turn."""
    ratios = []
    for call in (a, b, a, b):
        call()
    gc.disable()
    for _ in range(pairs):
        times = []
        for call in (a, b):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
        ratios.append(times[0] / times[1])
    gc.enable()
    return statistics.median(ratios)


def peak_memory(call: Callable[[], Any]) -> float:
    """Largest number of bytes allocated at one time by a call, above what was allocated before."""
    call()
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    now = peak = 0
    for event in sorted(record.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def rows(pairs: int) -> list[dict[str, Any]]:
    """Every comparison, as {name, against, setting, ratio, target}."""
    out: list[dict[str, Any]] = []

    def add(name: str, against: str, setting: str, value: float, target: float | None) -> None:
        out.append(
            {
                "name": name,
                "against": against,
                "setting": setting,
                "ratio": round(value, 3),
                "target": target,
            }
        )

    cases = [(e, f, m) for e in SETTINGS for f in ("late", "maxout") for m in (2, 3)]
    for encoder, fusion, m in progress_bar(cases, desc="step cost"):
        model, batch = problem(encoder, fusion, m)
        setting = f"{encoder}, {fusion}, M={m}"
        step = {n: stepper(build_method(n), model, batch) for n in ("joint", "sam", "msam")}
        moving = stepper(build_method("msam", ascent="momentum"), model, batch)
        naive = stepper(NaiveMSAM(), model, batch)
        few = max(3, pairs // 4)
        add("sam", "joint", setting, ratio(step["sam"], step["joint"], pairs), 2.05)
        add("msam", "sam", setting, ratio(step["msam"], step["sam"], pairs), 1.08)
        add("msam ascent=momentum", "joint", setting, ratio(moving, step["joint"], pairs), 1.15)
        add("msam written naively", "sam", setting, ratio(naive, step["sam"], few), None)
        memory = peak_memory(step["msam"]) / peak_memory(step["sam"])
        add("msam, peak memory", "sam", setting, memory, 1.1)
    for encoder in SETTINGS:
        model, batch = problem(encoder, "late", 2, SETTINGS[encoder]["shapes"][0])
        one = stepper(build_method("msam", reading="encoder"), model, batch)
        plain = stepper(build_method("joint"), model, batch)
        setting = f"{encoder}, late, two encoders of equal cost"
        add("msam reading=encoder", "joint", setting, ratio(one, plain, pairs), 1.65)
        model, batch = problem(encoder, "late", 8)
        features = {k: f.detach() for k, f in model(batch.inputs).features.items()}

        def contributions(model=model, batch=batch, features=features):
            return shapley_contributions(model, batch.inputs, batch.targets, features=features)

        plain = stepper(build_method("joint"), model, batch)
        setting = f"{encoder}, late, M=8"
        add("exact contributions", "joint step", setting, ratio(contributions, plain, pairs), 0.3)
    return out


def main() -> None:
    """Print the ratios as a table, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one list of rows as JSON")
    parser.add_argument("--pairs", type=int, default=31, help="pairs of timings per ratio")
    args = parser.parse_args()
    torch.set_num_threads(1)
    measured = rows(args.pairs)
    if args.json:
        print(json.dumps(measured, indent=1))
        return
    for r in measured:
        target = "" if r["target"] is None else f"target {r['target']}"
        print(f"{r['name']:24} / {r['against']:11} {r['ratio']:6.3f}  {target:12} {r['setting']}")


if __name__ == "__main__":
    main()
