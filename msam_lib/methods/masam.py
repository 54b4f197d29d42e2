"""MASAM: perturb the encoder that is active and in accord with the fusion, as far as it is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from msam_lib._utils.options import AtLeastZero, Choice, Share, ShareBelowOne
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import gradients, trainable
from msam_lib.methods._perturbation import SecondPass
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, Output, summed
from msam_lib.models.multimodal import split
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer

VARIANTS = ("paper", "released")


class MASAM(Method):
    r"""Multimodal adaptive SAM (ICLR 2026): modality selection (APS) and decoupled perturbation
    (MDPS).

    The loss is $\mathcal L_f + \lambda \sum_m \mathcal L_m$, fused and unimodal. Per step, for
    every modality $m$,

    $$\mathrm{MA}_m \leftarrow \beta\, \mathrm{MA}_m + (1 - \beta) \mathcal L_m,$$
    $$\mathrm{Decay}_m = \max(0, \mathcal L_m(\text{before}) - \mathrm{MA}_m),$$
    $$\gamma_m = \cos(\nabla_m \mathcal L_f, \nabla_m \mathcal L_m),$$
    $$\mathrm{APS}_m = \alpha\, \mathrm{Decay}_m + (1 - \alpha)\, \gamma_m;$$

    $\gamma_m$ is over the whole encoder. The encoder with the largest APS is displaced by
    $\rho\, \gamma_m \nabla_m \mathcal L_f / \lVert \nabla_m \mathcal L_f \rVert$ and follows
    $\nabla \mathcal L_f$ there plus $\lambda \nabla \mathcal L_m$ here; all other weights follow
    the gradients here.

    Changes: the landscape. Requires: per-modality logits and features; also works with MaxOut and
    heads, which the paper leaves open. A modality's own loss touches its own encoder alone, so two
    backward passes give all gradients, and the displaced pass runs one encoder.

    The released code (`variant="released"`) takes $\gamma$ as the mean over tensors of their
    cosines, displaces tensor by tensor along the own gradient's projection on the fused one (the
    fused one where they conflict), the whole scaled to $\rho$ times the last tensor's cosine (or to
    $\rho$ where that is not positive), and lets every encoder follow the total loss at the
    displaced point.

    Args:
        rho: radius; with weight = 0, rho = 0 is joint training.
        alpha: weight of the decay against the accord.
        beta: of the moving average.
        weight: $\lambda$, of the unimodal losses.
        aps: False displaces every encoder (ablation without APS).
        mdps: False takes $\gamma = 1$ in the displacement (ablation without MDPS).
        variant: see above.
    """

    tasks = KINDS
    reference = "MASAM, ICLR 2026"
    graph_use = "twice"
    passes = "1 forward, 2 backward, and one of each for the displaced encoder"
    requires = frozenset({"unimodal_logits", "features", "trained_encoders"})
    neutral: ClassVar = {"rho": 0.0, "weight": 0.0}
    caveat = "what the ablations replace is our reading; the paper says what they leave out"
    paper_options: ClassVar = {
        "CREMA-D": {"rho": 0.3, "alpha": 0.8, "beta": 0.91},
        "Kinetics-Sounds": {"rho": 0.3, "alpha": 0.8, "beta": 0.91},
        "UR-Funny": {"rho": 0.5, "alpha": 0.5, "beta": 0.9},
        "MIMIC": {"rho": 0.5, "alpha": 0.5, "beta": 0.9},
    }

    averages: Tensor
    last: Tensor

    def __init__(
        self,
        rho: AtLeastZero = 0.3,
        alpha: Share = 0.8,
        beta: ShareBelowOne = 0.9,
        weight: AtLeastZero = 1.0,
        aps: bool = True,
        mdps: bool = True,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.rho, self.alpha, self.beta, self.weight = rho, alpha, beta, weight
        self.aps, self.mdps, self.variant = aps, mdps, variant
        self.register_buffer("averages", torch.zeros(0))
        self.register_buffer("last", torch.zeros(0))
        self.memory = Memory(known=False)

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        like = next(model.parameters())
        self.averages = torch.zeros(len(model.modalities), dtype=like.dtype, device=like.device)
        self.last = torch.zeros_like(self.averages)
        self.memory = Memory(known=False)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """Gradients here, the choice, the gradient of the displaced encoder, one optimizer step."""
        names = tuple(model.modalities)
        second = SecondPass(model, batch)
        output, fused = self.compute(model, batch)
        own = self.unimodal_losses(output, batch)  # L_m
        parameters, counts = _encoders_first(model)
        g_f = gradients(fused, parameters, retain_graph=True, over=second.first)
        # grad_m L_m: each in its own encoder
        g_u = gradients(summed(own), parameters, over=second.first)
        blocks = dict(zip(names, _slices(counts), strict=True))
        geometry = {m: Geometry.of(g_f[at], g_u[at]) for m, at in blocks.items()}
        accord = torch.stack([self._accord(geometry[m]) for m in names])  # gamma (M,)
        # of all ranks: they displace the same encoder
        now, accord = world.means([torch.stack(own).detach(), accord])
        # APS (M,)
        score = self.alpha * self._decay(now) + (1 - self.alpha) * accord
        chosen = [names[int(score.argmax())]] if self.aps else list(names)
        shift = [  # eps, tensor by tensor
            e
            for m in chosen
            for e in self._displacement(g_f[blocks[m]], geometry[m], accord[names.index(m)])
        ]
        moved = [p for m in chosen for p in parameters[blocks[m]]]
        every = slice(sum(counts))  # all encoders
        with second.at(moved, shift):
            del shift
            if self.variant == "released":
                g_f[every] = self._total_there(model, batch, parameters[every], second.first)
            else:
                there = iter(self._fused_there(model, batch, output, chosen, moved, second.first))
                for m in chosen:
                    g_f[blocks[m]] = itertools.islice(there, counts[names.index(m)])
        # released: the total gradient of the encoders holds that of L_m already
        beside = slice(every.stop if self.variant == "released" else 0, None)
        torch._foreach_add_(g_f[beside], g_u[beside], alpha=self.weight)
        for p, g in zip(parameters, g_f, strict=True):
            p.grad = g
        second.settle()
        logs: Logs = {"loss": fused.detach()}
        for kind, values in (("accord", accord), ("score", score)):
            logs |= {f"{kind}/{m}": v for m, v in zip(names, values.unbind(), strict=True)}
        return logs

    def _decay(self, now: Tensor) -> Tensor:
        """Decay (M,) of the unimodal losses; at the first step the average is the loss itself."""
        if not self.memory["known"]:
            self.memory["known"] = True
            self.averages, self.last = now, now
            return torch.zeros_like(now)
        self.averages = torch.lerp(now, self.averages, self.beta)  # MA_m
        decay = (self.last - self.averages).clamp_min(0)  # Decay_m
        self.last = now
        return decay

    def _accord(self, both: Geometry) -> Tensor:
        if self.variant == "paper":
            return both.cosine
        return both.cosines.mean()

    def _displacement(self, a: Sequence[Tensor], both: Geometry, gamma: Tensor) -> list[Tensor]:
        """Of one encoder, along its fused gradient `a` or, as released, tensor by tensor."""
        if self.variant == "paper":
            length = self.rho * (gamma if self.mdps else 1.0)  # rho gamma_m
            return list(torch._foreach_mul(list(a), length / both.norm))
        ones = torch.ones_like(both.cosines)
        along = both.dots / both.norms.square().clamp_min(torch.finfo(ones.dtype).tiny)
        # in conflict the fused gradient itself, else the own one's projection on it
        shares = torch.where(both.dots < 0, ones, along) if self.mdps else ones
        cosine = both.cosines[-1]  # of the last tensor, as released
        factor = torch.where(cosine > 0, cosine, ones[0]) if self.mdps else 1.0
        # released: all tensors together have the length rho times the factor
        whole = torch.linalg.vector_norm(shares * both.norms)
        shares = self.rho * factor * shares / whole.clamp_min(torch.finfo(ones.dtype).tiny)
        return [x * share for x, share in zip(a, shares.unbind(), strict=True)]

    def _fused_there(
        self,
        model: Model,
        batch: Batch,
        output: Output,
        chosen: Sequence[str],
        moved: list[nn.Parameter],
        over: str,
    ) -> list[Tensor]:
        """The fused gradient of the displaced encoders, at the displaced point; others' features
        are kept.
        """
        with self.autocast(batch):
            features = {m: f.detach() for m, f in output.features.items()}
            features |= {m: split(model).encode_one(m, batch.inputs[m]) for m in chosen}
            loss = self.loss(model.fuse(features), batch)
        return gradients(loss, moved, over=over)

    def _total_there(
        self, model: Model, batch: Batch, encoders: list[nn.Parameter], over: str
    ) -> list[Tensor]:
        """The total gradient of every encoder, at the displaced point."""
        output, loss = self.compute(model, batch)
        total = loss + self.weight * summed(self.unimodal_losses(output, batch))
        return gradients(total, encoders, over=over)


class Geometry(NamedTuple):
    """An encoder's fused and own gradient, compared tensor by tensor and as a whole.

    Args:
        dots, norms, cosines: (T,), inner products, norms of the fused gradient, cosines.
        norm, cosine: of the whole encoder.
    """

    dots: Tensor
    norms: Tensor
    cosines: Tensor
    norm: Tensor
    cosine: Tensor

    @classmethod
    def of(cls, a: Sequence[Tensor], b: Sequence[Tensor]) -> Geometry:
        """Of the fused gradient `a` and the own gradient `b`."""
        pairs = zip(a, b, strict=True)
        dots = torch.stack([torch.dot(x.flatten(), y.flatten()) for x, y in pairs])
        norms, others = (torch.stack(torch._foreach_norm(list(x))) for x in (a, b))
        tiny = torch.finfo(dots.dtype).tiny
        norm = torch.linalg.vector_norm(norms).clamp_min(tiny)
        other = torch.linalg.vector_norm(others).clamp_min(tiny)
        cosines = dots / norms.clamp_min(tiny) / others.clamp_min(tiny)
        return cls(dots, norms, cosines, norm, dots.sum() / norm / other)


def _encoders_first(model: Model) -> tuple[list[nn.Parameter], list[int]]:
    """The trained parameters, encoder by encoder and then the rest; how many each encoder has."""
    own = [trainable(split(model).encoders[m]) for m in model.modalities]
    parameters = [p for block in own for p in block]
    taken = {id(p) for p in parameters}
    parameters += [p for p in trainable(model) if id(p) not in taken]
    return parameters, [len(block) for block in own]


def _slices(counts: Sequence[int]) -> list[slice]:
    ends = list(itertools.accumulate(counts, initial=0))
    return [slice(a, b) for a, b in itertools.pairwise(ends)]
