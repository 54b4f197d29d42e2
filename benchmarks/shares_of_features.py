"""M-SAM's shares from features of an evaluation pass or of the training pass: how much they differ
on the way of a training, and what each costs: `python benchmarks/shares_of_features.py`.

Both are measured at every step on the same weights and the same batch, in steps of M-SAM with
features="evaluation". They are held against the shares of 1,000 training samples in evaluation
mode: with the running batch-norm statistics as they stand ("running"), and with statistics made
anew at these weights ("refitted"), which the running ones follow at a distance.
"""

from __future__ import annotations

import argparse
import copy
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from step_cost import ratio, stepper  # its neighbour: this file is run as a script
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from msam_lib._utils.reproducibility import environment_record
from msam_lib.catalogue import VERSION
from msam_lib.contributions import shapley_contributions
from msam_lib.data import Batch, BatchLoader, Modality, MultimodalDataset, load_dataset
from msam_lib.methods import build_method
from msam_lib.methods.msam import MSAM
from msam_lib.models import MultimodalModel, build_model
from msam_lib.results.frame import COLUMNS
from msam_lib.results.frozen import write_frozen

EARLY = 20
AVMNIST = {"audio": Modality("spectrogram", (1, 40, 49)), "visual": Modality("image", (1, 28, 28))}


class Setting(NamedTuple):
    """A network and its data."""

    name: str
    data: str
    encoder: str
    fusion: str
    width: int
    lr: float
    fusion_options: dict[str, Any]


SETTINGS = [
    Setting("digits, small CNN, late", "digits", "auto", "late", 8, 0.05, {}),
    Setting(
        "digits, small CNN, MaxOut", "digits", "auto", "maxout", 8, 0.05, {"hidden": (128, 64)}
    ),
    Setting("AV-MNIST's shapes, MLP, late", "made", "mlp", "late", 16, 0.02, {}),
    Setting(
        "AV-MNIST's shapes, MLP, MaxOut", "made", "mlp", "maxout", 16, 0.02, {"hidden": (128, 64)}
    ),
]


def made_up(samples: int = 1200, classes: int = 10) -> MultimodalDataset:
    """Gaussian noise of AV-MNIST's shapes around a mean for each class, stronger in the image."""
    g = torch.Generator().manual_seed(0)
    y = torch.randint(classes, (samples,), generator=g)
    inputs = {}
    for (m, spec), strength in zip(AVMNIST.items(), (0.05, 0.1), strict=True):
        means = torch.randn(classes, *spec.shape, generator=g)
        inputs[m] = strength * means[y] + torch.randn(samples, *spec.shape, generator=g)
    return MultimodalDataset(inputs, y)


def problem(s: Setting, seed: int = 0) -> tuple[MultimodalModel, MultimodalDataset]:
    """An untrained model and its training split."""
    torch.manual_seed(seed)
    splits = load_dataset("digits") if s.data == "digits" else None
    data = made_up() if splits is None else splits.train
    specs = AVMNIST if splits is None else splits.modalities
    options = {"encoder": s.encoder, "width": s.width, **s.fusion_options}
    return build_model(specs, s.fusion, classes=10, **options), data


class Both(MSAM):
    """M-SAM that measures in both ways; the first one trains."""

    def __init__(self, **options: Any) -> None:
        super().__init__(features="evaluation", **options)
        self.other = MSAM(features="training").dominance

    def setup(self, model: Any, task: Any = None) -> None:
        super().setup(model, task)
        self.other.setup(model)

    def _measure(self, model: Any, batch: Batch, output: Any) -> None:
        super()._measure(model, batch, output)
        self.other.measure(model, batch, output)


def of_split(model: nn.Module, data: MultimodalDataset) -> dict[str, list[float]]:
    """Shares of the split with the statistics as they stand, and made anew."""
    twin = copy.deepcopy(model).eval()
    whole, out = data[:1000], {}
    for kind in ("running", "refitted"):
        if kind == "refitted":
            _refit(twin, data)
        out[kind] = shapley_contributions(twin, whole.inputs, whole.targets).weights.tolist()
    return out


def _refit(model: nn.Module, data: MultimodalDataset) -> None:
    for part in model.train().modules():
        if isinstance(part, _BatchNorm):
            part.reset_running_stats()
            part.momentum = None  # the mean over all batches
    with torch.no_grad():
        for batch in BatchLoader(data, 64):
            model(batch.inputs)
    model.eval()


def trained(s: Setting, steps: int, seed: int) -> pd.DataFrame:
    """One row per step and modality: both shares of the batch and, at some steps, the split's."""
    model, data = problem(s, seed)
    method, names = Both(rho=0.05), model.modalities
    optimizer = torch.optim.SGD(model.parameters(), lr=s.lr, momentum=0.9, weight_decay=1e-4)
    rows, step = [], 0
    loader = BatchLoader(data, 64, shuffle=True, seed=seed, drop_last="single")
    while step < steps:
        loader.set_epoch(step // len(loader))
        for batch in itertools.islice(loader, steps - step):
            split = of_split(model, data) if step < EARLY or step % 10 == 0 else None
            method.step(model.train(), batch, optimizer)
            kept = {"evaluation": method.dominance, "training": method.other}
            for i, m in enumerate(names):
                row = {"setting": s.name, "seed": seed, "step": step, "modality": m}
                for k, d in kept.items():
                    row |= {k: float(d.shares[i]), f"dominant by {k}": d.leader() == m}
                for k in ("running", "refitted"):
                    row[k] = None if split is None else split[k][i]
                rows.append(row)
            step += 1
    return pd.DataFrame(rows)


def summary(frame: pd.DataFrame) -> list[str]:
    """Lines of the table: the first steps and the last half."""
    steps = int(frame["step"].max()) + 1
    parts = {f"steps 1-{EARLY}": frame["step"] < EARLY}
    parts[f"steps {steps // 2 + 1}-{steps}"] = frame["step"] >= steps // 2
    lines = []
    for name, chosen in parts.items():
        part = frame[chosen]
        differs = part["dominant by evaluation"] != part["dominant by training"]
        share = differs.groupby([part["seed"], part["step"]]).any().mean()
        gap = _gap(part, "evaluation", "training")
        lines.append(f"  {name:14} |dv| {gap:.3f}, another dominant modality {share:4.0%}")
        for k in ("running", "refitted"):
            far = [_gap(part, how, k) for how in ("evaluation", "training")]
            lines.append(
                f"  {'':14} from the split's share ({k} statistics): evaluation {far[0]:.3f}, "
                f"training {far[1]:.3f}"
            )
    return lines


def _gap(frame: pd.DataFrame, a: str, b: str) -> float:
    return float((frame[a] - frame[b]).abs().mean())


def costs(s: Setting, pairs: int) -> dict[str, float]:
    """Cost of a step of M-SAM, in units of SAM's."""
    model, data = problem(s)
    batch = data[:64]
    sam = stepper(build_method("sam"), model, batch)
    return {
        how: ratio(stepper(build_method("msam", features=how), model, batch), sam, pairs)
        for how in ("evaluation", "training")
    }


def main() -> None:
    """Print the table; write the shares of every step where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=31, help="pairs of timings per ratio")
    parser.add_argument("--csv", help="write one row per step and modality here")
    parser.add_argument("--freeze", type=Path, help="freeze what the figure needs in this folder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    frames = []
    for s in SETTINGS:
        runs = [trained(s, args.steps, seed) for seed in range(args.seeds)]
        frames += runs
        cost = costs(s, args.pairs)
        print(
            f"{s.name}: a step costs {cost['evaluation']:.2f} (evaluation), "
            f"{cost['training']:.2f} (training) of SAM's",
            *summary(pd.concat(runs)),
            sep="\n",
            flush=True,
        )
    if args.csv:
        pd.concat(frames).to_csv(args.csv, index=False)
    if args.freeze:
        print(freeze(pd.concat(frames), args.freeze, args.steps))


def freeze(frame: pd.DataFrame, folder: Path, steps: int) -> Path:
    """Write how far the two measurements are apart at every step on `digits`."""
    rows = frame[frame["setting"].str.startswith("digits")]
    keys = ["setting", "seed", "step"]
    gap = (rows["evaluation"] - rows["training"]).abs()
    other = (rows["dominant by evaluation"] != rows["dominant by training"]).astype(float)
    both = {"share_gap": gap.groupby([rows[k] for k in keys]).mean()}
    both["other_dominant"] = other.groupby([rows[k] for k in keys]).max()
    parts = [v.rename("value").reset_index().assign(metric=k) for k, v in both.items()]
    tidy = pd.concat(parts, ignore_index=True)
    fusion = tidy["setting"].str.endswith("MaxOut").map({True: "maxout", False: "late"})
    same = {"dataset": "digits", "method": "msam", "label": "msam", "preset": "", "epoch": 0}
    tidy = tidy.assign(fusion=fusion, run=tidy["setting"], split="step", modality="all", **same)
    tidy = tidy[COLUMNS].sort_values(COLUMNS[:-1], kind="stable")
    text = tidy.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    record = {"made by": "benchmarks/shares_of_features.py", "steps": steps}
    record |= {"seeds": sorted(int(s) for s in tidy["seed"].unique()), "version": VERSION}
    record |= environment_record(torch.device("cpu"))
    return write_frozen(folder / "shares_of_features.csv.gz", text, record)


if __name__ == "__main__":
    main()
