"""What a training step costs, as ratios measured side by side: `python benchmarks/step_cost.py
--json`.

Every ratio interleaves its two contestants in one process on one thread, A B A B ..., and is the
median over pairs of consecutive timings, so that a machine whose speed drifts slows both. Peak
memory is what torch's profiler counts as allocated during a step, on top of what was there before
it.

The perceptrons of the `teach` presets are bound by the number of operations, not by arithmetic: a
step is hundreds of tensor operations of a few microseconds each. So beside the time stands how many
operations the profiler counts, in the same ratio. What M-SAM adds to SAM there cannot be left out:
scaling and adding one gradient for each parameter tensor (the mixture), the absent modalities'
features, which change with every step, one product for the coalitions, and the right answers'
count. OGM-GE draws noise for every parameter tensor, and `ascent="momentum"` copies, moves and
restores each. Their targets there follow from these counts.
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
from msam_lib.models import build_model, wrap

CLASSES = 10
# The networks of the `teach` presets, on tensors of the data sets' shapes: kinds and shapes of the
# modalities, classes, fusion, encoder, width.
AVMNIST = [("spectrogram", (1, 40, 49)), ("image", (1, 28, 28))]
PRESETS: dict[str, tuple[list[tuple[str, tuple[int, ...]]], int, str, str, int]] = {
    "digits": ([("spectrogram", (1, 24, 24)), ("image", (1, 8, 8))], 10, "late", "auto", 8),
    "avmnist": (AVMNIST, 10, "late", "mlp", 16),
    "avmnist, MaxOut": (AVMNIST, 10, "maxout", "mlp", 16),
    "mfeat": ([("vector", (d,)) for d in (216, 76, 64, 6, 240, 47)], 10, "late", "auto", 8),
    "mosi": ([("vector", (d,)) for d in (100, 73, 100)], 2, "late", "auto", 8),
}
# On these networks: what is shown, against what, method, its options, target (see above).
TRAINING = {"features": "training"}
PERCEPTRONS: list[tuple[str, str, str, dict[str, Any], float]] = [
    ("msam", "sam", "msam", {}, 1.25),
    ("msam features=training", "sam", "msam", TRAINING, 1.25),
    ("msam ascent=momentum", "joint", "msam", {"ascent": "momentum"} | TRAINING, 1.75),
    ("ogm_ge", "joint", "ogm_ge", {}, 2.1),
    ("masam", "sam", "masam", {}, 1.25),
]
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


def preset(name: str):
    """A model as a `teach` preset builds it, and a batch."""
    torch.manual_seed(0)
    shapes, classes, fusion, encoder, width = PRESETS[name]
    specs = {f"x{i}": Modality(*shape) for i, shape in enumerate(shapes)}
    options = {"hidden": (128, 64)} if fusion == "maxout" else {}
    model = build_model(specs, fusion, classes=classes, encoder=encoder, width=width, **options)
    inputs = {m: torch.randn(64, *spec.shape) for m, spec in specs.items()}
    return model, Batch(inputs, torch.randint(classes, (64,)))


def stepper(method: Method, model, batch: Batch) -> Callable[[], None]:
    """A training step as a function of nothing; the weights hardly move, so every step costs the
    same.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
    model.train()
    return lambda: method.step(model, batch, optimizer)


def ratio(a: Callable[[], Any], b: Callable[[], Any], pairs: int) -> float:
    """Median over pairs of CPU time of `a` divided by that of `b`, taken in turn."""
    found = []
    for call in (a, b, a, b):
        call()
    gc.disable()
    for _ in range(pairs):
        times = []
        for call in (a, b):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
        found.append(times[0] / times[1])
    gc.enable()
    return statistics.median(found)


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


def operations(call: Callable[[], Any]) -> int:
    """Tensor operations that a call dispatches, nested ones counted too."""
    call()
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as record:
        call()
    return sum(e.name.startswith("aten::") for e in record.events())


def rows(pairs: int, only: str = "") -> list[dict[str, Any]]:
    """Every comparison, as {name, against, setting, ratio, target}."""
    out: list[dict[str, Any]] = []

    def add(name: str, against: str, setting: str, value: float, target: float | None) -> None:
        row = {"name": name, "against": against, "setting": setting, "ratio": round(value, 3)}
        out.append(row | {"target": target})

    if only != "networks":
        preset_rows(pairs, add)
    if only != "presets":
        network_rows(pairs, add)
    return out


def preset_rows(pairs: int, add: Callable[..., None]) -> None:
    """The small networks on which the tables stand: Python and small tensors cost the most here."""
    for name in progress_bar(PRESETS, desc="presets"):
        model, batch = preset(name)
        plain, sam = (stepper(build_method(n), model, batch) for n in ("joint", "sam"))

        setting = f"teach: {name}"
        add("sam", "joint", setting, ratio(sam, plain, pairs), 2.15)
        for shown, base, method, options, target in PERCEPTRONS:
            if method == "msam" or model.fusion.additive:
                call = stepper(build_method(method, **options), model, batch)
                other = {"sam": sam, "joint": plain}[base]
                add(shown, base, setting, ratio(call, other, pairs), target)
                counts = operations(call) / operations(other)
                add(f"{shown}, operations", base, setting, counts, None)


def network_rows(pairs: int, add: Callable[..., None]) -> None:
    """Convolutional networks. One pass of the encoders without gradients is a sixth of SAM's step:
    what `features="evaluation"` costs where they have batch normalisation.
    """
    cases = [(e, f, m) for e in SETTINGS for f in ("late", "maxout") for m in (2, 3)]
    for encoder, fusion, m in progress_bar(cases, desc="networks"):
        model, batch = problem(encoder, fusion, m)
        setting = f"{encoder}, {fusion}, M={m}"
        step = {n: stepper(build_method(n), model, batch) for n in ("joint", "sam", "msam")}
        cheap = stepper(build_method("msam", features="training"), model, batch)
        moving = stepper(build_method("msam", ascent="momentum", features="training"), model, batch)
        naive = stepper(NaiveMSAM(), model, batch)
        few = max(3, pairs // 4)
        add("sam", "joint", setting, ratio(step["sam"], step["joint"], pairs), 2.05)
        add("msam", "sam", setting, ratio(step["msam"], step["sam"], pairs), 1.22)
        add("msam features=training", "sam", setting, ratio(cheap, step["sam"], pairs), 1.05)
        add("msam ascent=momentum", "joint", setting, ratio(moving, step["joint"], pairs), 1.15)
        add("msam written naively", "sam", setting, ratio(naive, step["sam"], few), None)
        memory = peak_memory(step["msam"]) / peak_memory(step["sam"])
        add("msam, peak memory", "sam", setting, memory, 1.1)
    for encoder in SETTINGS:
        model, batch = problem(encoder, "late", 2, SETTINGS[encoder]["shapes"][0])
        one = stepper(build_method("msam", reading="encoder", features="training"), model, batch)
        plain = stepper(build_method("joint"), model, batch)
        setting = f"{encoder}, late, two encoders of equal cost"
        add("msam reading=encoder", "joint", setting, ratio(one, plain, pairs), 1.65)
        whole = wrap(model, model.modalities)
        wrapped, sam = (stepper(build_method(n), whole, batch) for n in ("msam", "sam"))
        setting = f"{encoder}, somebody's own module, M=2"
        add("msam", "sam", setting, ratio(wrapped, sam, pairs), 1.5)
        model, batch = problem(encoder, "late", 8)
        features = {k: f.detach() for k, f in model(batch.inputs).features.items()}

        def contributions(model=model, batch=batch, features=features):
            return shapley_contributions(model, batch.inputs, batch.targets, features=features)

        plain = stepper(build_method("joint"), model, batch)
        setting = f"{encoder}, late, M=8"
        add("exact contributions", "joint step", setting, ratio(contributions, plain, pairs), 0.3)


def main() -> None:
    """Print the ratios as a table, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one list of rows as JSON")
    parser.add_argument("--pairs", type=int, default=31, help="pairs of timings per ratio")
    parser.add_argument("--only", choices=("presets", "networks"), default="", help="one half")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = rows(args.pairs, args.only)
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for r in found:
        target = "" if r["target"] is None else f"target {r['target']}"
        print(f"{r['name']:34} / {r['against']:11} {r['ratio']:6.3f}  {target:12} {r['setting']}")


if __name__ == "__main__":
    main()
