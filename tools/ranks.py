"""How far training on several ranks is from one process with the whole batch, for every method:
`python tools/ranks.py` prints the table of the largest differences of weights.

Every case trains two epochs of three steps, the last batch of an epoch being smaller and uneven,
with all hooks between the epochs; models have neither batch norm nor dropout.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from msam_lib._utils.progress import progress_bar
from msam_lib.data import BatchLoader, Modality, MultimodalDataset
from msam_lib.methods import METHODS, build_method, capabilities
from msam_lib.models import FUSIONS, build_model
from msam_lib.training import Loaders

CLASSES = 3
SPECS = {
    "x1": Modality("image", (1, 6, 6)),
    "x2": Modality("vector", (5,)),
    "x3": Modality("sequence", (4, 3)),
}
SAMPLES, BATCH = 31, 12  # batches of 12, 12 and 7
# Options with which two epochs reach what a method does in later ones.
EARLY: dict[str, dict[str, Any]] = {
    "amco": {"epsilon": 0.3, "threshold": 0.5},
    "arl": {"warmup": 0},
    "aug": {"period": 1},
    "diagnose_relearn": {"period": 1},
    "g2d": {"teacher_epochs": 1, "stage_epochs": 1},
    "gblend": {"super_epoch": 1},
    "greedy": {"warmup": 0, "threshold": 0.0, "window": 2},
    "look_sam": {"period": 2},
    "mses": {"patience": 1, "smoothing": 0.0},
    "mslr": {"window": 1},
    "opm": {"warmup": 0},
    "sample_valuation": {"warmup": 1},
    "umt": {"teacher_epochs": 1},
    "x_sam": {"period": 2},
}
OTHER: list[tuple[str, dict[str, Any]]] = [
    ("msam", {"reading": "encoder"}),
    ("msam", {"reading": "encoder", "target": "weakest", "mixing": 1.0}),
    ("msam", {"reading": "unimodal_loss"}),
    ("msam", {"ascent": "momentum"}),
    ("msam", {"value": "log_likelihood", "contribution": "softmax", "smoothing": 0.9}),
    ("msam", {"features": "training"}),
    ("x_sam", {"period": 1, "variant": "released"}),
    ("lfm", {"weights": "learned"}),
    ("ogm_ge", {"variant": "released"}),
    ("mmpareto", {"variant": "released"}),
    ("masam", {"aps": False}),
    ("masam", {"variant": "released"}),
    ("cggm", {"weight": 0.0}),
    ("pmr", {"variant": "released"}),
    ("lnln", {"variant": "released"}),
    ("sample_valuation", {"warmup": 0, "zero": "inputs"}),
    ("sample_valuation", {"warmup": 0, "level": "modality"}),
]
# Rates at which six steps do not magnify rounding.
RATES = {"x_sam": 0.01, "lnln": 0.02}


class Case(NamedTuple):
    """A method with options, a fusion and the number of modalities."""

    method: str
    options: dict[str, Any]
    fusion: str
    m: int

    def __str__(self) -> str:
        named = ", ".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.method}({named}) {self.fusion} M={self.m}"


def cases(fusions: Sequence[str] = ("late", "concat"), ms: Sequence[int] = (2, 3)) -> list[Case]:
    """All methods and some of their variants, with every fusion and number that they allow."""
    out = []
    for name, options in [*((n, EARLY.get(n, {})) for n in METHODS), *OTHER]:
        cls = METHODS[name]
        for m in ms:
            if cls.modalities not in ("any", str(m)):
                continue
            own = [f for f in fusions if f in (cls.fusions or FUSIONS)] or cls.fusions[:1]
            out += [Case(name, options, f, m) for f in own]
    return out


def data_of(m: int) -> tuple[MultimodalDataset, MultimodalDataset]:
    """A training and a validation split in which there is something to learn."""
    g = torch.Generator().manual_seed(3)
    y = torch.randint(CLASSES, (SAMPLES + 20,), generator=g)
    inputs = {}
    for name, spec in list(SPECS.items())[:m]:
        centre = torch.randn(CLASSES, *spec.shape, generator=g)
        inputs[name] = 0.5 * centre[y] + torch.randn(len(y), *spec.shape, generator=g)
    whole = MultimodalDataset(inputs, y)
    order = torch.arange(len(y))
    return whole.subset(order[:SAMPLES]), whole.subset(order[SAMPLES:])


def model_of(case: Case, **options: Any):
    """A model that the method can train."""
    specs = {k: SPECS[k] for k in list(SPECS)[: case.m]}
    options = {"classes": CLASSES, "width": 2, "encoder": "mlp", **options}
    torch.manual_seed(0)
    plain = build_model(specs, case.fusion, **options)
    if build_method(case.method, **case.options).needs() <= capabilities(plain):
        return plain
    torch.manual_seed(0)
    return build_model(specs, case.fusion, unimodal_heads=True, **options)


def trained(
    case: Case,
    *,
    rank: int = 0,
    ranks: int = 1,
    sync: str = "global",
    batch_size: int = BATCH,
    **options: Any,
) -> torch.Tensor:
    """The weights (P,) after two epochs; `options` are the model's."""
    model, method = model_of(case, **options), build_method(case.method, **case.options)
    method.sync, method.total_epochs = sync, 2
    train, val = data_of(case.m)
    loader = BatchLoader(train, batch_size, shuffle=True, rank=rank, ranks=ranks)
    loaders = Loaders(loader, {"val": val})
    method.setup(model)
    own = [*model.parameters(), *method.parameters()]
    optimizer = torch.optim.SGD(own, lr=RATES.get(case.method, 0.05), momentum=0.9)
    torch.manual_seed(5)
    for epoch in range(2):
        model.train()
        loader.set_epoch(epoch)
        method.on_epoch_start(model, epoch, loaders)
        for batch in loader:
            method.step(model, batch, optimizer)
        method.on_epoch_end(model, epoch + 1, loaders, None)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def joined(rank: int, ranks: int, folder: str) -> None:
    """Make this process number `rank` of a gloo group that meets at a file."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=ranks,
        timeout=timedelta(seconds=30),
    )


def _work(rank: int, ranks: int, folder: str, asked: list[Case]) -> None:
    """The weights of every case, or its error, into a file of this rank."""
    joined(rank, ranks, folder)
    found: list[torch.Tensor | str] = []
    for case in progress_bar(asked, show=rank == 0, desc=f"{ranks} ranks"):
        try:
            found.append(trained(case, rank=rank, ranks=ranks))
        except Exception:
            found.append(traceback.format_exc())
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def differences(asked: list[Case], ranks: int) -> list[float | str]:
    """Of every case: the largest difference of a weight on any rank from one process, or an
    error.
    """
    with TemporaryDirectory() as folder:
        running = mp.spawn(_work, (ranks, folder, asked), nprocs=ranks, join=False)
        alone = [trained(case) for case in asked]
        while not running.join():
            pass
        found = [torch.load(f"{folder}/{r}.pt", weights_only=True) for r in range(ranks)]
    out: list[float | str] = []
    for one, *several in zip(alone, *found, strict=True):
        errors = [x for x in several if isinstance(x, str)]
        out.append(errors[0] if errors else max(float((x - one).abs().max()) for x in several))
    return out


def main() -> int:
    """Print the table; 1 where a difference is larger than 1e-6."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--method", nargs="+", help="only these")
    args = parser.parse_args()
    torch.set_num_threads(1)
    asked = [c for c in cases() if not args.method or c.method in args.method]
    columns = [differences(asked, n) for n in args.ranks]
    print("| case |", *(f"{n} ranks |" for n in args.ranks))
    print("| --- |", *("---: |" for _ in args.ranks))
    bad = 0
    for case, *row in zip(asked, *columns, strict=True):
        shown = [x.strip().splitlines()[-1] if isinstance(x, str) else f"{x:.1e}" for x in row]
        bad += any(isinstance(x, str) or x > 1e-6 for x in row)
        print(f"| {case} |", *(f"{x} |" for x in shown))
    print(f"{len(asked)} cases, {bad} of them further than 1e-6 from one process")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
