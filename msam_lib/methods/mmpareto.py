"""MMPareto: every encoder follows a direction that harms neither the fused nor its own loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import Choice, Positive
from msam_lib._utils.vectors import flat, unflat
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import gradients, trainable
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer

VARIANTS = ("paper", "released")


class MMPareto(Method):
    r"""Pareto integration of multimodal and unimodal gradients (Wei, Hu, ICML 2024, arXiv
    2405.17730).

    For every encoder, with the gradients $g_f$ of the fused loss and $g_u$ of the modality's own
    loss: $h = g_f + g_u$ where they agree (cosine > 0); where they conflict,

    $$h = 2\, (w g_f + (1 - w)\, g_u)$$

    with the $w$ that makes it shortest. If $h$ is shorter than $g_f + g_u$ it is stretched to that
    length, and in every case multiplied by $\gamma$. Heads and fusion follow the sum of all losses.

    Changes: the gradient. Requires: per-modality logits; the authors' model is concatenation with
    heads of its own beside it (`fusion="concat", unimodal_heads=True`). With late fusion and no
    such heads, its terms are the per-modality logits. A modality's own loss depends on its own
    encoder alone, so one backward pass through the sum of them gives every $g_u$: two passes, not
    $M + 2$ as in the released code, which also stretches tensor by tensor (`variant="released"`)
    instead of the encoder as a whole.

    Args:
        gamma: factor on the encoders' gradients.
        variant: see above.
    """

    tasks = KINDS
    reference = "Wei and Hu, ICML 2024, arXiv 2405.17730"
    graph_use = "twice"
    passes = "1 forward, 2 backward"
    requires = frozenset({"unimodal_logits", "trained_encoders"})
    paper_options: ClassVar = {"CREMA-D": {"gamma": 1.5}}

    def __init__(
        self,
        gamma: Positive = 1.5,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.gamma, self.variant = gamma, variant

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """One forward pass, two gradients, one optimizer step."""
        output, fused = self.compute(model, batch)
        own = [self.task.loss(z.float(), batch.targets) for z in output.unimodal.values()]  # L_m
        parameters = trainable(model)
        g_f = gradients(fused, parameters, retain_graph=True)
        # L_m reaches encoder m alone, so the sum's gradient holds every g_u
        g_u = gradients(sum(own[1:], own[0]), parameters)
        for p, a, b in zip(parameters, g_f, g_u, strict=True):
            p.grad = a + b  # what heads and fusion follow
        place = {id(p): i for i, p in enumerate(parameters)}
        logs: Logs = {"loss": fused.detach()}
        for m in model.modalities:
            # this encoder's tensors among all that are trained
            at = [place[id(p)] for p in model.parameters_of(m) if id(p) in place]
            new, cosine = self.integrate([g_f[i] for i in at], [g_u[i] for i in at])
            for i, g in zip(at, new, strict=True):
                parameters[i].grad = g
            logs[f"cosine/{m}"] = cosine
        return logs

    def integrate(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """The encoder's gradient from fused `a` and own `b`, and their cosine."""
        u, v = flat(a), flat(b)
        tiny = torch.finfo(u.dtype).tiny
        cosine = (u @ v) / (u.norm() * v.norm()).clamp_min(tiny)
        w = shortest(u, v)
        # in accord equal weights, h = g_f + g_u; in conflict the shortest h
        w = torch.where(cosine > 0, torch.full_like(w, 0.5), w)
        h = 2 * (w * u + (1 - w) * v)
        if self.variant == "paper":
            return unflat(self.gamma * _stretch(h, u + v), list(a)), cosine  # as a whole
        parts = unflat(h, list(a))  # released: tensor by tensor
        sums = torch._foreach_add(list(a), list(b))
        return [self.gamma * _stretch(p, s) for p, s in zip(parts, sums, strict=True)], cosine


def shortest(u: Tensor, v: Tensor) -> Tensor:
    """w that minimises ||w u + (1 - w) v||: <v, v - u> / ||u - v||^2, and 0.999 or 0.001 where
    that is not between 0 and 1. (Conflicting gradients always have theirs between.)
    """
    gap = (u - v).square().sum().clamp_min(torch.finfo(u.dtype).tiny)  # ||u - v||^2
    w = (v @ (v - u)) / gap
    return torch.where(w >= 1, 0.999, torch.where(w <= 0, 0.001, w))


def _stretch(h: Tensor, whole: Tensor) -> Tensor:
    """h at least as long as `whole`."""
    size = h.norm().clamp_min(torch.finfo(h.dtype).tiny)
    return h * (whole.norm() / size).clamp_min(1.0)
