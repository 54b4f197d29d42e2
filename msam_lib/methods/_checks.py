"""The check at the beginning of a step: everything at a method's first step on a model, afterwards
what costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch.optim import LBFGS, Optimizer

from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError, NonFiniteLoss, UnsupportedSetting
from msam_lib.models.base import Model
from msam_lib.models.checks import (
    check_batch,
    check_model,
    check_values,
    explained,
    rehearse,
)
from msam_lib.models.multimodal import MultimodalModel
from msam_lib.tasks import Task

# The model and optimizer of each method's last step.
_SEEN: WeakKeyDictionary[Any, tuple[ReferenceType[Model], int]] = WeakKeyDictionary()


def checked_step(
    method: Any, model: Model, batch: Batch, optimizer: Optimizer | None
) -> AbstractContextManager[None]:
    """Around a step: raise where a part does not fit, and explain what a batch is the cause of."""
    seen = _SEEN.get(method)
    if seen is None or seen[0]() is not model or seen[1] != id(optimizer):
        return _first_step(method, model, batch, optimizer)
    return explained(model, batch, method.task)


@contextmanager
def _first_step(
    method: Any, model: Model, batch: Batch, optimizer: Optimizer | None
) -> Iterator[None]:
    """Around a method's first step on a model, or with an optimizer."""
    with ExitStack() as stack:
        stack.enter_context(explained(model, batch, method.task))
        check_values(model, batch, method.task)
        method.check(model)  # again, since encoders may have been frozen or shared meanwhile
        check_optimizer(method, model, optimizer)
        # no error may come between two steps; on a GPU a class that is none ends the process
        unknown = not isinstance(model, MultimodalModel) and batch.targets.device.type != "cpu"
        if method.several_steps or unknown:
            rehearse(model, batch, method.task)
        _watch(stack, method, model, batch, optimizer)
        yield
    _SEEN[method] = (ref(model), id(optimizer))


def check_parts(model: Any, batch: Any, task: Task) -> None:
    """Raise where the arguments of a step are of another kind.

    Raises:
        MsamError: no `Model`, no `Batch` and no list of batches; or see `check_batch`.
    """
    check_model(model)
    if isinstance(batch, Batch):
        check_batch(model, batch, task)
        return
    if not isinstance(batch, list | tuple) or not all(isinstance(p, Batch) for p in batch):
        raise MsamError(
            f"batch is a {type(batch).__name__}; give Batch({{modality: x}}, targets), or a list "
            "of them."
        )
    for part in batch:
        check_batch(model, part, task)


def check_optimizer(method: Any, model: Model, optimizer: Optimizer | None) -> None:
    """Raise where an optimizer cannot take this method's steps on this model.

    Raises:
        MsamError: it is no optimizer, or another model's.
        UnsupportedSetting: it needs a closure, or gradients would be sparse.
    """
    own = {id(p) for p in model.parameters() if p.requires_grad}
    if not own:
        raise MsamError("Every parameter of the model is frozen; unfreeze some: requires_grad_().")
    if any(getattr(m, "sparse", False) is True for m in model.modules()):
        raise UnsupportedSetting(
            f"{method!r} steps on dense gradients; this model has an embedding with sparse ones. "
            "Use nn.Embedding(sparse=False)."
        )
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise MsamError(
            f"optimizer is a {type(optimizer).__name__}; give one over the model's parameters, for "
            "example torch.optim.SGD(model.parameters(), lr=0.05)."
        )
    if isinstance(optimizer, LBFGS):
        raise UnsupportedSetting(
            f"{method!r} steps without a closure, which LBFGS needs. Use SGD or AdamW."
        )
    if not own & {id(p) for group in optimizer.param_groups for p in group["params"]}:
        raise MsamError(
            f"The optimizer ({type(optimizer).__name__}) holds no trainable parameter of this "
            "model, so that it would never learn. Build it over model.parameters()."
        )


def _watch(
    stack: ExitStack, method: Any, model: Model, batch: Batch, optimizer: Optimizer | None
) -> None:
    """During the first step, look at the gradients before they are followed."""

    def refuse(opt: Optimizer, args: Any, kwargs: Any) -> None:
        grads = [p.grad for g in opt.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(torch.isfinite(g).all()) for g in grads):
            raise NonFiniteLoss(
                f"The first step's gradients are NaN or infinite with {method!r}; no weight was "
                "changed. Look for NaN or very large numbers in inputs and weights, or try a "
                "smaller radius."
            )

    if optimizer is not None and hasattr(optimizer, "register_step_pre_hook"):
        stack.callback(optimizer.register_step_pre_hook(refuse).remove)
