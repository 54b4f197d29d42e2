"""What every method costs, as ratios to joint training: `python benchmarks/methods_cost.py --json`.

For late fusion and MaxOut with 2 and 3 modalities: time per step and per epoch (with what a method
does between epochs), peak memory, and forward and backward passes through the encoders per step
(counted, not estimated: 1 is one pass through all of them). Timings are taken in turn with joint
training's in one process on one thread. `--freeze` keeps them for the figures.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from step_cost import peak_memory, problem, ratio, stepper  # its neighbour

from msam_lib._utils.progress import progress_bar
from msam_lib._utils.reproducibility import environment_record
from msam_lib.data import Batch, DataSplits, MultimodalDataset
from msam_lib.errors import UnsupportedSetting
from msam_lib.labels import format_label
from msam_lib.methods import METHODS, build_method
from msam_lib.models import MultimodalModel
from msam_lib.results.frozen import write_frozen
from msam_lib.training import History, Loaders

EPOCHS, BATCHES, BATCH = 2, 3, 32  # of the timing of epochs; samples per step
VARIANTS = (
    ("msam", {"reading": "encoder"}),
    ("msam", {"reading": "unimodal_loss"}),
    ("msam", {"ascent": "momentum"}),
)


def passes(method: Any, model: Any, batch: Any) -> tuple[float, float]:
    """Forward and backward passes through the encoders in one step, in units of all of them."""
    counts: Counter[str] = Counter()

    def seen(module, inputs, output):
        counts["forward"] += len(output) > 1  # not the one zero sample of an absent modality
        if output.requires_grad and len(output) > 1:
            output.register_hook(lambda g: counts.update(["backward"]))

    hooks = [e.register_forward_hook(seen) for e in model.encoders.values()]
    stepper(method, model, batch)()
    for h in hooks:
        h.remove()
    m = len(model.modalities)
    return counts["forward"] / m, counts["backward"] / m


def epochs(method: Any, model: Any, batch: Any) -> Any:
    """A function that trains a few short epochs, with what the method does in between."""
    n = len(batch.targets)
    data = MultimodalDataset(
        {m: x.repeat(BATCHES, *[1] * (x.dim() - 1)) for m, x in batch.inputs.items()},
        batch.targets.repeat(BATCHES),
    )
    part = data.subset(torch.arange(2 * n))

    def run() -> None:
        net, rule = copy.deepcopy(model), copy.deepcopy(method)
        rule.setup(net)
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9)
        splits = Loaders.of(_splits(data, part), batch_size=n, train_part=n)
        history = History()
        for epoch in range(EPOCHS):
            net.train()
            rule.on_epoch_start(net, epoch, splits)
            for b in splits.train:
                rule.step(net, b, optimizer)
            rule.on_epoch_end(net, epoch + 1, splits, history)

    return run


def _splits(data: MultimodalDataset, part: MultimodalDataset) -> Any:
    return DataSplits("cost", data, part, part, {}, (), "")


def measured(name: str, options: dict, fusion: str, m: int, pairs: int) -> list[dict[str, Any]]:
    """Every quantity of one method in one setting; [] where it does not apply."""
    model, whole = problem("small_cnn", fusion, m)
    batch = Batch({k: x[:BATCH] for k, x in whole.inputs.items()}, whole.targets[:BATCH])
    method = build_method(name, **options)
    try:
        method.setup(model)
    except UnsupportedSetting:
        model = MultimodalModel(dict(model.encoders), model.fusion, unimodal_heads=True)
        method = build_method(name, **options)
        try:
            method.setup(model)
        except UnsupportedSetting:
            return []
    joint = build_method("joint")
    one, plain = stepper(method, model, batch), stepper(joint, copy.deepcopy(model), batch)
    forward, backward = passes(copy.deepcopy(method), copy.deepcopy(model), batch)
    quantities = {
        "step": ratio(one, plain, pairs),
        "epoch": _timed(epochs(method, model, batch), epochs(joint, model, batch)),
        "memory": peak_memory(one) / peak_memory(plain),
        "forward": forward,
        "backward": backward,
    }
    same = {"name": format_label(name, options), "against": "joint"}
    same["setting"] = f"small_cnn, {fusion}, M={m}"
    return [
        same | {"quantity": q, "ratio": round(v, 3), "target": None} for q, v in quantities.items()
    ]


def _timed(a: Any, b: Any) -> float:
    """Median over three pairs of CPU times."""
    ratios = []
    for _ in range(3):
        times = []
        for call in (a, b):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def fusions(name: str) -> tuple[str, ...]:
    """The fusions that a method is measured with."""
    return METHODS[name].fusions or ("late", "maxout")


def main() -> None:
    """Print the ratios as a table, or as JSON; keep them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one list of rows as JSON")
    parser.add_argument("--pairs", type=int, default=9, help="pairs of timings per ratio")
    parser.add_argument("--methods", nargs="+", help="only these")
    parser.add_argument("--freeze", type=Path, help="folder in which to keep them (costs.csv.gz)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rules = [(n, {}) for n in METHODS] + [v for v in VARIANTS if v[0] in METHODS]
    rules = [r for r in rules if not args.methods or r[0] in args.methods]
    cases = [(r, f, m) for r in rules for f in fusions(r[0]) for m in (2, 3)]
    rows: list[dict[str, Any]] = []
    for (name, options), fusion, m in progress_bar(cases, desc="methods' cost"):
        rows += measured(name, options, fusion, m, args.pairs)
    if args.freeze:
        text = pd.DataFrame(rows).drop(columns="target").to_csv(index=False, lineterminator="\n")
        write_frozen(args.freeze / "costs.csv.gz", text, environment_record(torch.device("cpu")))
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    table = pd.DataFrame(rows).pivot_table(
        index=["setting", "name"], columns="quantity", values="ratio"
    )
    print(table.to_string())


if __name__ == "__main__":
    main()
