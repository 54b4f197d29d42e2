"""What a batch must be for a model: cheap checks for every step, thorough ones for the first, and
the explanation of an error that a batch caused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from msam_lib._utils.arguments import shown
from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError
from msam_lib.models.base import Model
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import MultimodalModel
from msam_lib.tasks import CLASSIFICATION, Classification, SegmentClassification, Task

KEPT = (MsamError, torch.cuda.OutOfMemoryError)  # errors that explain themselves


def check_model(model: Any) -> None:
    """Raise a `MsamError` where it is not a `Model`."""
    if not isinstance(model, Model):
        raise MsamError(
            f"model is a {type(model).__name__}; give a MultimodalModel, or "
            "wrap(module, modalities=[...])."
        )


def check_inputs(model: Model, inputs: Mapping[str, Tensor]) -> int:
    """The number of samples, where every modality is a tensor of so many; looks at no value.

    Raises:
        MsamError: a modality is missing, no tensor or of another length; or there are no samples.
    """
    if type(inputs) is not dict and not isinstance(inputs, Mapping):
        raise MsamError(f"inputs={shown(inputs)}; give a dictionary {{modality: tensor (N, ...)}}.")
    size = -1
    for m in model.modalities:
        x = inputs.get(m)
        if not isinstance(x, Tensor):
            if x is None:
                model.check(inputs)
            raise MsamError(
                f"Input {m!r} is a {type(x).__name__}; give a tensor (N, ...), for example "
                "torch.as_tensor(x)."
            )
        n = len(x) if x.ndim else 0
        if n < 1 or (n != size and size >= 0):
            raise _lengths(inputs)
        size = n
    return size


def _lengths(inputs: Mapping[str, Tensor]) -> MsamError:
    """The error for modalities of different lengths, or without samples."""
    shapes = {m: tuple(x.shape) for m, x in inputs.items() if isinstance(x, Tensor)}
    return MsamError(
        f"Inputs have shapes {shapes}; every modality needs the same number N of samples, 1 or "
        "more, as its first dimension."
    )


def check_batch(model: Model, batch: Batch, task: Task = CLASSIFICATION) -> None:
    """Raise where inputs and targets do not belong together; looks at no value.

    Raises:
        MsamError: see `check_inputs`; or the targets are not those of N samples of this task.
    """
    n, y = check_inputs(model, batch.inputs), batch.targets
    if not isinstance(y, Tensor):
        raise MsamError(
            f"targets is a {type(y).__name__}; give a tensor (N,) of class indices, for example "
            "torch.as_tensor(y)."
        )
    if not isinstance(task, Classification):
        task.check(y)
        if len(y) != n:
            raise MsamError(
                f"targets have shape {tuple(y.shape)}; the inputs have {n} samples, and each needs "
                f"its target: {task.expected()}."
            )
        return
    if y.dtype is not torch.int64:
        hint = "targets.argmax(1)" if y.dim() == 2 else "targets.long()"
        raise MsamError(
            f"targets have dtype {y.dtype} and shape {tuple(y.shape)}; give class indices (N,) of "
            f"dtype torch.int64, for example {hint}. For labels or numbers, set the method up with "
            "their task: method.setup(model, Multilabel(L)), or Regression()."
        )
    if y.ndim != 1 or len(y) != n:
        several = y.ndim == 2 and len(y) == n and y.shape[1] > 1
        hint = (
            "or, for a class of each segment, set the method up with that task: "
            f"method.setup(model, SegmentClassification(C, segments={y.shape[1]}))."
            if several
            else "for example targets.flatten()."
        )
        raise MsamError(
            f"targets have shape {tuple(y.shape)}; the inputs have {n} samples: give class indices "
            f"({n},), {hint}"
        )


def check_values(model: Model, batch: Batch, task: Task = CLASSIFICATION) -> None:
    """Raise where an input is NaN or infinite, or a target is no class.

    Raises:
        MsamError: with the number of such samples.
    """
    for m in model.modalities:
        x = batch.inputs[m]
        if x.is_floating_point() and not bool((good := x.isfinite()).all()):
            bad = int((~good).flatten(1).any(1).sum()) if x.dim() > 1 else int((~good).sum())
            raise MsamError(
                f"Input {m!r} is NaN or infinite in {bad} of {len(x)} samples, which would destroy "
                "the weights. Leave them out, or replace the values: torch.nan_to_num(x)."
            )
    y = batch.targets
    if y.is_floating_point() and not bool((good := y.isfinite()).all()):
        raise MsamError(
            f"targets are NaN or infinite in {int((~good).sum())} of {y.numel()} places. Leave "
            "these samples out."
        )
    if isinstance(model, MultimodalModel):
        check_outputs(y, model.fusion.classes, task)
    elif isinstance(task, Classification) and (low := int(y.min())) < 0:
        raise MsamError(f"targets begin at {low}; give class indices from 0 on.")


def check_outputs(targets: Tensor, outputs: int, task: Task) -> None:
    """Raise where a network with so many outputs cannot answer these targets.

    Raises:
        MsamError: too few outputs, or another number than the task needs.
    """
    if isinstance(task, Classification):
        check_classes(targets, outputs)
    elif outputs != task.outputs:
        parts = f", segments={task.segments}" if task.segments > 1 else ""
        raise MsamError(
            f"The model has {outputs} outputs, {task!r} needs {task.outputs}: build it with "
            f"classes={task.outputs // task.segments}{parts}."
        )
    elif isinstance(task, SegmentClassification):
        check_classes(targets, task.classes)


def check_classes(targets: Tensor, classes: int) -> None:
    """Raise where a target is not one of the classes 0, 1, ..., C - 1; numbers are none.

    Raises:
        MsamError: with the targets' range.
    """
    if targets.is_floating_point():
        return
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        raise MsamError(
            f"targets lie between {low} and {high}; the model has {classes} classes: give indices "
            f"from 0 to {classes - 1}, or build the model with classes={max(high, 1) + 1}."
        )


class explained:  # a context manager, quicker than a generator
    """Inside, an error that the batch is the cause of is raised again with its explanation."""

    def __init__(self, model: Model, batch: Batch, task: Task = CLASSIFICATION) -> None:
        self.model, self.batch, self.task = model, batch, task

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, Exception) or isinstance(error, KEPT):
            return
        cause = _cause(self.model, self.batch, self.task)
        if cause is not None:
            raise cause from error


def _cause(model: Model, batch: Batch, task: Task) -> MsamError | None:
    """What is wrong with a batch that led to an error, if it is the batch."""
    try:
        check_batch(model, batch, task)
        check_values(model, batch, task)
    except MsamError as found:
        return found
    for m in model.modalities:
        like = _like(model, m)
        x = batch.inputs[m]
        if like is not None and x.device != like.device:
            return MsamError(
                f"Input {m!r} is on {x.device}, the model on {like.device}; bring both to one: "
                f"batch.to({str(like.device)!r})."
            )
        automatic = torch.is_autocast_enabled(x.device.type)
        if like is not None and x.dtype != like.dtype and not automatic and _reads_numbers(model):
            return MsamError(
                f"Input {m!r} has dtype {x.dtype}, the model {like.dtype}; give x.to({like.dtype}),"
                " or convert the model."
            )
    try:
        rehearse(model, batch, task)
    except MsamError as found:
        return found
    except Exception as error:
        shapes = {m: tuple(x.shape) for m, x in batch.inputs.items()}
        return MsamError(
            f"The model cannot read inputs of shapes {shapes}: {shown(str(error))[1:-1]} Give "
            "inputs of the shapes that it was built for."
        )
    return None


def rehearse(model: Model, batch: Batch, task: Task) -> None:
    """Predict the batch in evaluation mode, which changes nothing, for the errors of it.

    Raises:
        MsamError: a target is none of the task; any other error is the model's own.
    """
    with torch.no_grad(), evaluating(model):
        logits = model(dict(batch.inputs)).logits
    check_outputs(batch.targets, logits.shape[-1], task)


def _like(model: Model, modality: str) -> nn.Parameter | None:
    """The first floating-point weight that reads a modality."""
    module: nn.Module = model
    if isinstance(model, MultimodalModel):
        module = model.encoders[modality]
    return next((p for p in module.parameters() if p.is_floating_point()), None)


def _reads_numbers(model: Model) -> bool:
    """Whether no part of the model looks up symbols, which are integers."""
    return not any(isinstance(m, nn.Embedding | nn.EmbeddingBag) for m in model.modules())
