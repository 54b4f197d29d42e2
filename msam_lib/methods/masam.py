"""MASAM: perturb the encoder that is active and in accord with the fusion, as far as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib._utils.precision import full
from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError, unknown_name
from msam_lib.methods._gradients import flat, gradients, trainable, unflat
from msam_lib.methods._perturbation import SecondPass
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, Output
from msam_lib.models.multimodal import split

if TYPE_CHECKING:
    from torch.optim import Optimizer

VARIANTS = ("paper", "released")
Grads = dict[str, list[Tensor]]


class MASAM(Method):
    """Multimodal adaptive SAM (ICLR 2026): modality selection (APS) and decoupled perturbation
    (MDPS).

    The loss is L_f + weight * sum_m L_m, fused and unimodal. Per step, for every modality m,

        MA_m <- beta MA_m + (1 - beta) L_m;  Decay_m = max(0, L_m(before) - MA_m);
        gamma_m = cos(grad_m L_f, grad_m L_m) over the whole encoder;
        APS_m = alpha Decay_m + (1 - alpha) gamma_m;

    the encoder with the largest APS is displaced by rho gamma_m grad_m L_f / ||grad_m L_f|| and
    follows grad L_f there + weight * grad L_m here; all other weights follow the gradients here.

    Changes: the landscape. Requires: per-modality logits and features; also works with MaxOut and
    heads, which the paper leaves open. A modality's own loss touches its own encoder alone, so two
    backward passes give all gradients, and the displaced pass runs one encoder.

    The released code (`variant="released"`) takes gamma as the mean over tensors of their cosines,
    displaces tensor by tensor along the own gradient's projection on the fused one (the fused one
    where they conflict), the whole scaled to rho times the last tensor's cosine (or to rho where
    that is not positive), and lets every encoder follow the total loss at the displaced point.

    Args:
        rho: radius; with weight = 0, rho = 0 is joint training.
        alpha: weight of the decay against the accord.
        beta: of the moving average.
        weight: lambda, of the unimodal losses.
        aps: False displaces every encoder (ablation without APS).
        mdps: False takes gamma = 1 in the displacement (ablation without MDPS).
        variant: see above.
    """

    reference = "MASAM, ICLR 2026"
    graph_use = "twice"
    passes = "1 forward, 2 backward, and one of each for the displaced encoder"
    requires = frozenset({"unimodal_logits", "features"})
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
        rho: float = 0.3,
        alpha: float = 0.8,
        beta: float = 0.9,
        weight: float = 1.0,
        aps: bool = True,
        mdps: bool = True,
        variant: str = "paper",
    ) -> None:
        super().__init__()
        for name, value, top in (("rho", rho, None), ("alpha", alpha, 1), ("weight", weight, None)):
            if not value >= 0 or (top is not None and value > top):
                allowed = "0 or larger" if top is None else f"between 0 and {top}"
                raise MsamError(f"{name}={value}; it must be {allowed}.")
        if not 0 <= beta < 1:
            raise MsamError(f"beta={beta}; it must be at least 0 and less than 1.")
        if variant not in VARIANTS:
            raise unknown_name("variant", variant, VARIANTS)
        self.rho, self.alpha, self.beta, self.weight = rho, alpha, beta, weight
        self.aps, self.mdps, self.variant = aps, mdps, variant
        self.register_buffer("averages", torch.zeros(0))
        self.register_buffer("last", torch.zeros(0))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        device, m = next(model.parameters()).device, len(model.modalities)
        self.averages = torch.full((m,), torch.nan, device=device)
        self.last = torch.full((m,), torch.nan, device=device)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """Gradients here, the choice, the gradient of the displaced encoder, one optimizer step."""
        names: tuple[str, ...] = tuple(model.modalities)
        second = SecondPass(model, batch)
        output, fused = self.compute(model, batch)
        own = self._own(output, batch)
        parameters = trainable(model)
        g_f = gradients(fused, parameters, retain_graph=True)
        g_u = gradients(sum(own[1:], own[0]), parameters)
        for p, a, b in zip(parameters, g_f, g_u, strict=True):
            p.grad = a + self.weight * b
        place = {id(p): i for i, p in enumerate(parameters)}
        at = {m: [place[id(p)] for p in model.parameters_of(m) if id(p) in place] for m in names}
        of_f: Grads = {m: [g_f[i] for i in at[m]] for m in names}
        of_u: Grads = {m: [g_u[i] for i in at[m]] for m in names}
        accord = torch.stack([self._accord(of_f[m], of_u[m]) for m in names])
        score = self.alpha * self._decay(torch.stack(own).detach()) + (1 - self.alpha) * accord
        best = names[int(score.argmax())]
        eps = {
            m: self._displacement(of_f[m], of_u[m], accord[names.index(m)])
            for m in ([best] if self.aps else names)
        }
        targets = {m: [parameters[i] for i in at[m]] for m in eps}
        moved = [p for m in eps for p in targets[m]]
        shift = [e for m in eps for e in eps[m]]
        with second.at(moved, shift):
            self._follow(model, batch, output, targets, of_u)
        logs: Logs = {
            f"{k}/{m}": v[i]
            for k, v in (("accord", accord), ("score", score))
            for i, m in enumerate(names)
        }
        return {"loss": fused.detach()} | logs

    def _own(self, output: Output, batch: Batch) -> list[Tensor]:
        return [F.cross_entropy(full(z), batch.targets) for z in output.unimodal.values()]

    def _decay(self, now: Tensor) -> Tensor:
        """Decay (M,) of the unimodal losses; at the first step the average is the loss itself."""
        first = self.averages.isnan()
        mean = torch.where(first, now, self.beta * self.averages + (1 - self.beta) * now)
        decay = torch.where(first, torch.zeros_like(now), (self.last - mean).clamp_min(0))
        self.averages, self.last = mean, now
        return decay

    def _accord(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        if self.variant == "paper":
            return F.cosine_similarity(flat(a), flat(b), dim=0)
        each = [
            F.cosine_similarity(x.flatten(), y.flatten(), dim=0) for x, y in zip(a, b, strict=True)
        ]
        return torch.stack(each).mean()

    def _displacement(self, a: list[Tensor], b: list[Tensor], gamma: Tensor) -> list[Tensor]:
        u = flat(a)
        tiny = torch.finfo(u.dtype).tiny
        if self.variant == "paper":
            scale = gamma if self.mdps else torch.ones_like(gamma)
            return unflat(self.rho * scale * u / u.norm().clamp_min(tiny), a)
        parts, cosine = [], torch.ones_like(gamma)
        for x, y in zip(a, b, strict=True):
            dot = (x * y).sum()
            along = dot / x.square().sum().clamp_min(tiny) * x
            parts.append(torch.where(dot < 0, x, along) if self.mdps else x)
            cosine = F.cosine_similarity(x.flatten(), y.flatten(), dim=0)
        factor = torch.where(cosine > 0, cosine, torch.ones_like(cosine))
        whole = flat(parts)
        length = self.rho * (factor if self.mdps else 1.0)
        return unflat(length * whole / whole.norm().clamp_min(tiny), a)

    def _follow(
        self,
        model: Model,
        batch: Batch,
        output: Output,
        targets: dict[str, list[nn.Parameter]],
        of_u: Grads,
    ) -> None:
        """Put the gradients of the displaced point into `.grad`."""
        encoders = split(model).encoders
        with self.autocast(batch):
            if self.variant == "released":
                every = {m: trainable(encoders[m]) for m in model.modalities}
                there = model(batch.inputs)
                total = self.loss(there, batch) + self.weight * sum(self._own(there, batch))
            else:
                every = targets
                features = {m: f.detach() for m, f in output.features.items()}
                features |= {m: split(model).encode_one(m, batch.inputs[m]) for m in targets}
                total = self.loss(model.fuse(features), batch)
        wanted = [p for m in every for p in every[m]]
        extra = [self.weight * u for m in every for u in of_u[m]]
        for p, g, u in zip(wanted, gradients(total, wanted), extra, strict=True):
            p.grad = g if self.variant == "released" else g + u
