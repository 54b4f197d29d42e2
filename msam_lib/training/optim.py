"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import AtLeastZero, Count, Positive, ShareBelowOne, WholeNumber
from msam_lib._utils.settings import OptimizerName, ScheduleName
from msam_lib.errors import MsamError


def build_optimizer(
    parameters: Iterable[nn.Parameter],
    name: OptimizerName = "sgd",
    *,
    lr: Positive = 0.05,
    momentum: ShareBelowOne = 0.9,
    weight_decay: AtLeastZero = 1e-4,
) -> Optimizer:
    """An optimizer by name.

    Args:
        parameters: to optimise.
        name: `"sgd"` or `"adamw"`.
        lr: learning rate.
        momentum: of SGD; beta_1 of AdamW.
        weight_decay: of the optimizer.

    Raises:
        MsamError: an unknown name, or a value that is not allowed.
    """
    check_arguments(build_optimizer, locals())
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
    return torch.optim.AdamW(parameters, lr=lr, betas=(momentum, 0.999), weight_decay=weight_decay)


def build_schedule(
    optimizer: Optimizer,
    name: ScheduleName = "constant",
    *,
    steps: Count,
    warmup: WholeNumber = 0,
    period: WholeNumber = 0,
    factor: Positive = 0.1,
) -> LambdaLR:
    """A learning-rate schedule by name, counted in optimizer steps.

    Args:
        optimizer: whose learning rate is scheduled.
        name: `"constant"`; `"step"`: times `factor` after each `period` steps; `"cosine"`: down to
            zero at `steps`.
        steps: optimizer steps of the whole training.
        warmup: steps of a linear increase from 0 at the start, before the schedule.
        period: for `"step"`, steps between two drops, at least 1.
        factor: for `"step"`, of each drop.

    Raises:
        MsamError: an unknown name, or a value that is not allowed.
    """
    check_arguments(build_schedule, locals())
    if name == "step" and period < 1:
        raise MsamError(
            f"period={period}; schedule 'step' needs the number of steps between two drops."
        )

    # The factor on the learning rate at a step.
    def scale(step: int) -> float:
        # A linear warm-up, then the schedule counted from its end.
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if name == "step":
            return factor ** ((step - warmup) // period)
        if name == "cosine":
            # Share of the way from the end of the warm-up to the last step.
            done = min(1.0, (step - warmup) / max(1, steps - warmup))
            return 0.5 * (1 + math.cos(math.pi * done))
        return 1.0

    return LambdaLR(optimizer, scale)
