"""ARL: encoders learn in inverse proportion to the variance of their modality's predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from msam_lib._utils.options import AtLeastZero, Choice, WholeNumber
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._alone import alone
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model, Output, summed
from msam_lib.models.multimodal import split

VARIANTS = ("paper", "released")
FLOOR = 0.6  # of M times a modality's share of the entropy: 0.3 of the share for two


class ARL(Method):
    r"""Asymmetric representation learning (Wei, Luo, Luo, ICCV 2025, arXiv 2507.10203).

    Argues against balance: a mixture of predictions has the least variance where its weights are
    inverse to theirs. With $u_m$ the fusion's logits for $h_m$ alone (all other features zero),

    $$\mathcal L = \mathrm{CE}(F(h), y) + \gamma \sum_m \mathrm{CE}(u_m, y),$$
    $$d_m \propto \sum_c \operatorname*{mean}_i\, \lvert u_{m,ic} \rvert,$$
    $$H_m \propto \operatorname*{mean}_i H(\mathrm{softmax}\, u_{m,i}),$$
    $$q_m \propto 1 / H_m,$$
    $$\kappa_m = \operatorname*{softmax}_m (T\, q_m\, \bar d_m),$$

    each of $d$ (the dependence, Eq. 4), $H$ (the entropy) and $q$ (the inverse variance, Eq. 17)
    divided by its sum over $m$, $H_m$ at least $0.6 / M$, $\bar d_m$ the mean of the others' $d$;

    and the gradient of encoder $m$ is multiplied by $1 + \kappa_m$: a modality on which the model
    depends less than its certainty deserves ($d_m / d_k < q_m / q_k$) learns faster, and none
    stops. In the first epochs $\gamma$ is 1 and $\kappa$ 0.

    Changes: the gradient. Requires: features. Source: the released `main_arl_variance.py`;
    equations are numbered as the paper's figures refer to them. The code has two modalities,
    $q_a d_v$ against $q_v d_a$: the mean of the others' $d$ and $0.6 / M$ are our generalisation,
    the same for $M = 2$. It computes $\kappa$ but never hands it to the encoders, where 0.5 stands
    for both: `variant="released"`. Its loop clips the norm of all gradients at 40 (`clip_norm`).

    Args:
        gamma: weight of the unimodal losses.
        temperature: $T$.
        warmup: epochs with $\gamma = 1$ and $\kappa = 0$; a bare loop is past them.
        variant: `"paper"`, or `"released"` with $\kappa_m = 0.5$ for every modality.
    """

    reference = "Wei et al., ICCV 2025, arXiv 2507.10203"
    passes = "1 forward, 1 backward, and M through the fusion"
    requires = frozenset({"features"})
    caveat = (
        "coefficients as the released code computes, and then does not use, them; for more than "
        "two modalities the mean of the others is our generalisation"
    )
    paper_options: ClassVar = {
        "CREMA-D": {"gamma": 4.0, "temperature": 8.0},
        "Kinetics-Sounds": {"gamma": 4.0, "temperature": 4.0},
        "MOSI": {"gamma": 4.0, "temperature": 4.0},
    }

    def __init__(
        self,
        gamma: AtLeastZero = 4.0,
        temperature: AtLeastZero = 4.0,
        warmup: WholeNumber = 6,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.gamma, self.temperature = gamma, temperature
        self.warmup, self.variant = warmup, variant
        self.memory = Memory(epoch=None)
        self.coefficients: dict[str, Tensor] = {}  # of the last step, for the logs

    @property
    def warming(self) -> bool:
        """Whether the run is in its first epochs."""
        epoch = self.memory["epoch"]
        return epoch is not None and epoch < self.warmup

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Remember where we are."""
        self.memory["epoch"] = epoch

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """One pass of the encoders; the fusion on all features and on each modality's alone."""
        whole = split(model)
        with self.autocast(batch):
            output = whole(batch.inputs)
            output = replace(output, unimodal=alone(whole.fusion, output.features))
            return output, self.loss(output, batch)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        own = self.unimodal_losses(output, batch)
        gamma = 1.0 if self.warming else self.gamma
        return super().loss(output, batch) + gamma * summed(own)

    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        self.coefficients = {}
        if self.warming:
            return
        z = torch.stack([u.detach().float() for u in output.unimodal.values()])  # u (M, N, C)
        kappa = coefficients(z, self.temperature)
        if self.variant == "released":
            kappa = torch.full_like(kappa, 0.5)
        self.coefficients = dict(zip(output.unimodal, 1 + kappa, strict=True))
        for m, k in self.coefficients.items():
            for p in model.parameters_of(m):
                if p.grad is not None:
                    p.grad.mul_(k.to(p.grad))

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """An ordinary step with modulated gradients; logs the coefficients."""
        logs = super().differentiate(model, batch, optimizer)
        return logs | {f"coefficient/{m}": k for m, k in self.coefficients.items()}


def coefficients(z: Tensor, temperature: float) -> Tensor:
    """kappa (M,) from the unimodal logits (M, N, C); they sum to 1.

    Both modalities have logits of the same size; the first is the more certain one.

    >>> coefficients(torch.tensor([[[1.0, -1.0]], [[1.0, 1.0]]]), 4.0)
    tensor([0.6501, 0.3499])
    """
    m = len(z)
    log_p = z.log_softmax(-1)
    d = z.abs().mean(1).sum(1)  # Eq. 4: the dependence on each modality (M,)
    h = -(log_p.exp() * log_p).sum(-1).mean(1)  # H_m (M,)
    d, h = world.means([d, h])
    d = d / d.sum().clamp_min(torch.finfo(d.dtype).tiny)
    # the floor bounds q: no modality is endlessly certain
    h = (h / h.sum().clamp_min(torch.finfo(h.dtype).tiny)).clamp_min(FLOOR / m)
    q = (1 / h) / (1 / h).sum()  # Eq. 17: the inverse variance
    others = (d.sum() - d) / max(m - 1, 1)
    # more for a certain modality, the more the model depends on the others
    return torch.softmax(temperature * q * others, dim=0)
