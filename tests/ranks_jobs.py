"""What the processes of tests/test_ranks.py do; every rank saves its results by name."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from msam_lib._utils.world import world
from msam_lib.data import BatchLoader, DataSplits
from msam_lib.errors import UnsupportedSetting
from msam_lib.methods import build_method
from msam_lib.models import wrap
from msam_lib.training import Loaders, Run, Trainer
from tools.ranks import CLASSES, EARLY, SPECS, Case, cases, data_of, joined, model_of, trained

# Every method once, fusions and numbers of modalities in turn.
TURNS = [("late", 2), ("concat", 3), ("concat", 2), ("late", 3)]


def subset() -> list[Case]:
    names = dict.fromkeys(c.method for c in cases())
    out = []
    for i, name in enumerate(names):
        fusion, m = TURNS[i % len(TURNS)]
        allowed = cases([fusion], [m]) + cases([fusion], [2])
        out.append(next(c for c in allowed if c.method == name))
    return out + [c for c in cases(["late"], [2]) if c.options != EARLY.get(c.method, {})]


# The last batch of three samples leaves the second rank without any.
EMPTY = [Case(n, EARLY.get(n, {}), "late", 2) for n in ("msam", "cggm", "ogm_ge", "mla", "lnln")]
EMPTY[-1] = EMPTY[-1]._replace(fusion="lnln")
TWO_PASSES = [
    *(Case(n, EARLY.get(n, {}), "late", 2) for n in ("sam", "asam", "look_sam", "cr_sam")),
    Case("x_sam", {"period": 2}, "late", 2),
    *(
        Case("msam", {"reading": r, "contribution": "softmax"}, "late", 2)
        for r in ("literal", "encoder", "unimodal_loss")
    ),
    Case("masam", {}, "late", 2),
    Case("masam", {"variant": "released"}, "late", 2),
]
# Batch norm and dropout, and noise and masks that must be one for all.
NOISY = [
    Case(n, EARLY.get(n, {}), "maxout", 2) for n in ("ogm_ge", "opm", "amco", "msam", "gblend")
]
NOISE = {"encoder": "auto", "hidden": (7, 5), "dropout": 0.3}


def start(case: Case, sync: str = "local"):
    """Model, method and optimizer of a test that takes one step."""
    model, method = model_of(case), build_method(case.method, **case.options)
    method.sync = sync
    return model, method, torch.optim.SGD(model.parameters(), lr=0.1)


def halves():
    """An uneven batch of 9 samples in two parts."""
    train, _ = data_of(2)
    return train[:5], train[5:9]


def one_step(case: Case, rank: int):
    model, method, optimizer = start(case)
    method.step(model, halves()[rank], optimizer)
    return {k: p.detach() for k, p in model.named_parameters()}


def refusals():
    found = []
    case, net = Case("msam", {}, "late", 2), nn.Linear(36, CLASSES)
    for model in (
        DistributedDataParallel(model_of(case)),
        wrap(DistributedDataParallel(net), ["x1"], call="args"),
        fully_shard(model_of(case)),
    ):
        try:
            build_method("msam").step(model, halves()[0], torch.optim.SGD(net.parameters(), lr=1.0))
            found.append("accepted")
        except UnsupportedSetting as error:
            found.append(str(error))
    return found


class Stop(Exception):
    pass


def trainer(folder: str | Path, stop_at: int = 0) -> Trainer:
    """One with batch norm, dropout, momentum and memories, which may be interrupted."""
    train, val = data_of(2)
    specs = {k: SPECS[k] for k in ("x1", "x2")}
    data = DataSplits("ranks", train, val, val, specs, ("a", "b", "c"), "made up")
    model = model_of(NOISY[0], **NOISE)
    method = build_method("msam", smoothing=0.5)

    def on_step(steps, logs):
        if steps == stop_at:
            raise Stop

    with world.first_alone():
        run = Run.create(Path(folder), {}, {})
    torch.manual_seed(4)
    return Trainer(
        model,
        method,
        Loaders.of(data, 12),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        run=run,
        device="cpu",
        progress=False,
        on_step=on_step,
    )


def resumed(folder: str):
    whole, parts = f"{folder}/whole", f"{folder}/parts"
    expected = trainer(whole)
    expected.fit(3)
    try:
        trainer(parts, stop_at=5).fit(3)
        raise AssertionError("not interrupted")
    except Stop:
        pass
    again = trainer(parts)
    history = again.fit(3)
    return {
        "whole": expected.model.state_dict(),
        "parts": again.model.state_dict(),
        "rows": len(history.records),
    }


def work(rank: int, ranks: int, folder: str) -> None:
    joined(rank, ranks, folder)
    here = {"rank": rank, "ranks": ranks}
    jobs = {f"global {c}": lambda c=c: trained(c, **here) for c in subset()}
    jobs |= {f"empty {c}": lambda c=c: trained(c, batch_size=14, **here) for c in EMPTY}
    jobs |= {f"local {c}": lambda c=c: trained(c, sync="local", **here) for c in TWO_PASSES}
    jobs |= {f"step {c}": lambda c=c: one_step(c, rank) for c in TWO_PASSES}
    jobs |= {f"noise {c}": lambda c=c: trained(c, **here, **NOISE) for c in NOISY}
    jobs |= {"refusals": refusals, "resumed": lambda: resumed(folder)}
    found = {}
    for name, job in jobs.items():
        try:
            found[name] = job()
        except Exception:
            found[name] = traceback.format_exc()
            break  # the other rank waits for this one: nothing more can be learnt
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def parts_of(loader: BatchLoader, ranks: int):
    """Every rank's batches of a loader."""
    out = []
    for rank in range(ranks):
        loader.rank, loader.ranks = rank, ranks
        out.append(list(loader))
    return out
