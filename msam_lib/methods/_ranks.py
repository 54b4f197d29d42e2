"""The context of every step: micro-batches, compiled models, and the ranks that share the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msam_lib._utils.world import world
from msam_lib.data.containers import Batch, gathered
from msam_lib.data.loader import PADDING
from msam_lib.errors import UnsupportedSetting, unknown_name
from msam_lib.methods._checks import check_parts, checked_step
from msam_lib.methods._compiled import compiled_for
from msam_lib.models.base import Model
from msam_lib.models.micro_batches import micro_batches

SYNCS = ("global", "local")
# By name: importing the sharded classes takes a while.
WRAPPERS = {"DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule"}


@contextmanager
def one_step(
    method: Any, model: Model, batch: Batch | Sequence[Batch], optimizer: Optimizer | None
) -> Iterator[Batch]:
    """The batch as a whole; inside, what the method computes of it is of all ranks' samples.

    Args:
        method, model, batch, optimizer: of the step; its `graph_use` (see `_compiled`) and `sync`
            (of the first pass of two-pass methods) are the method's.

    Raises:
        MsamError: what `checked_step` refuses.
        UnsupportedSetting: the model is wrapped for several processes.
    """
    if not (isinstance(model, Model) and method._ready):
        refuse_wrapped(method, model)
    if world.size > 1:
        if method.sync not in SYNCS:
            raise unknown_name("sync", method.sync, SYNCS)
        if world.meets(model):
            refuse_wrapped(method, model)
            world.agree(model, method)
    check_parts(model, batch, method.task)
    whole, sizes = gathered(batch)
    checks = checked_step(method, model, whole, optimizer)
    with checks, micro_batches(model, sizes), compiled_for(method.graph_use):
        if world.size == 1:
            yield whole
            return
        padding = whole.index is not None and bool((whole.index == PADDING).all())
        with world.batch(
            0 if padding else len(whole.targets),
            whole.targets.device,
            lambda: _trained(model, method),
            local=method.sync == "local",
        ):
            yield whole


def averaged(logs: dict[str, float | Tensor]) -> dict[str, float | Tensor]:
    """What a step logs, as the mean over all ranks' samples."""
    if world.part is None:
        return logs
    values = [torch.as_tensor(v, dtype=torch.float64).cpu() for v in logs.values()]
    return dict(zip(logs, world.mean(torch.stack(values)).unbind(), strict=True))


def refuse_wrapped(method: nn.Module, model: nn.Module) -> None:
    """Raise `UnsupportedSetting` where the model, or a part of it, is wrapped for several
    processes.
    """
    for module in model.modules():
        found = WRAPPERS & {c.__name__ for c in type(module).__mro__}
        if found:
            name = found.pop()
            raise UnsupportedSetting(
                f"{method!r} got a model inside {name}. Methods average gradients and statistics "
                "of the batch over the ranks on their own, which a wrapper would prevent. Pass "
                "the model as it was built, without the wrapper, on every rank that torchrun "
                "starts, each with its own rows of the batch."
            )


def _trained(*modules: nn.Module) -> list[nn.Parameter]:
    """The parameters of these modules that are trained, each once."""
    found = {id(p): p for m in modules for p in m.parameters() if p.requires_grad}
    return list(found.values())
