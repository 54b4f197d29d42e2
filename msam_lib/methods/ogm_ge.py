"""OGM-GE: the dominant modality's gradient is made smaller, and noise is added to all."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from msam_lib._utils.options import AtLeastZero, Choice, WholeNumber
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError
from msam_lib.methods._scores import Scores, modality_scores
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model, Output
from msam_lib.tasks import KINDS

VARIANTS = ("paper", "released")


class OGMGE(Method):
    r"""On-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022).

    With the scores $s_m$, the sum over the batch of $\mathrm{softmax}(z_m)[y]$, and $\rho_m$, the
    ratio of $s_m$ to the mean of the other modalities' scores, the gradient of encoder $m$ is
    multiplied by

    $$k_m = 1 - \tanh(\alpha \rho_m)$$

    where $\rho_m > 1$, and by 1 elsewhere. GE adds Gaussian noise with each gradient's own standard
    deviation, taken before it is multiplied by $k_m$, to every encoder.

    The paper has two modalities, $\rho = s_a / s_v$; the mean over the others is our
    generalisation, the same for $M = 2$. $z_m$ is the fusion's own term where the logits are a sum
    over modalities (the paper's Eq. 5), else the modality's Shapley response of the logits, as in
    AGM's code. (The released code cuts out slices of the output layer there too, although under
    gated fusion and FiLM they do not add up to the logits.)

    Changes: the gradient. Requires: which parameters belong to which encoder. The released code
    modulates convolution kernels (4-D tensors) only: `variant="released"`.

    Args:
        alpha: strength; 0 modulates nothing.
        ge: add the noise.
        window: (first, last) epoch of the modulation; a bare loop is always inside.
        variant: `"paper"` for all parameters of the encoders, `"released"` for kernels.
    """

    tasks = KINDS
    reference = "Peng et al., CVPR 2022, arXiv 2203.15332"
    passes = "1 forward, 1 backward; early fusion: and $2^M - 2$ through the fusion"
    requires = frozenset({"encoders"})
    neutral: ClassVar = {"alpha": 0.0, "ge": False}
    caveat = "two modalities in the paper; for more, the ratio to the mean of the others is ours"
    paper_options: ClassVar = {
        "CREMA-D": {"alpha": 0.8, "window": (0, 50)},
        "VGGSound": {"alpha": 0.1, "window": (0, 50)},
    }

    def __init__(
        self,
        alpha: AtLeastZero = 0.8,
        ge: bool = True,
        window: tuple[WholeNumber, WholeNumber] = (0, 50),
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        if window[0] > window[1]:
            raise MsamError(f"window={window}; give (first, last epoch), for example (0, 50).")
        self.alpha, self.ge, self.window, self.variant = alpha, ge, tuple(window), variant
        self.memory = Memory(epoch=None)
        self.coefficients: dict[str, Tensor] = {}  # of the last step, for the logs

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Remember where we are."""
        self.memory["epoch"] = epoch

    def scores(self, model: Model, output: Output, batch: Batch) -> Scores:
        """What each modality says on its own, {m: (N, C)}."""
        with self.autocast(batch):
            return modality_scores(model, output, batch.inputs)

    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        epoch = self.memory["epoch"]
        # outside the window: joint training
        if epoch is not None and not self.window[0] <= epoch <= self.window[1]:
            self.coefficients = {}
            return
        self.coefficients = self.balance(self.scores(model, output, batch), batch.targets)
        for m, k in self.coefficients.items():
            for p in model.parameters_of(m):
                if p.grad is None or (self.variant == "released" and p.dim() != 4):
                    continue
                noisy = self.ge and p.numel() > 1
                spread = p.grad.std() + 1e-8 if noisy else 0.0  # before the gradient is scaled
                p.grad.mul_(k.to(p.grad))
                if noisy:
                    with world.together():
                        p.grad.add_(torch.randn_like(p.grad) * spread)  # GE

    def balance(self, scores: Scores, targets: Tensor) -> dict[str, Tensor]:
        """{modality: k_m} from logits {m: (N, C)}: Eq. 8 to 10."""
        z = torch.stack(list(scores.values()))  # (M, N, C)
        s = world.sum(self.task.score(z, targets).sum(1))  # (M,)
        others = (s.sum() - s) / (len(s) - 1)  # mean score of the others (M,)
        ratio = s / others.clamp_min(torch.finfo(s.dtype).tiny)  # rho_m
        # only a modality ahead of the others is slowed
        k = torch.where(ratio > 1, 1 - torch.tanh(self.alpha * ratio), torch.ones_like(ratio))
        return dict(zip(scores, k, strict=True))

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """An ordinary step with modulated gradients; logs the coefficients."""
        logs = super().differentiate(model, batch, optimizer)
        return logs | {f"coefficient/{m}": k for m, k in self.coefficients.items()}
