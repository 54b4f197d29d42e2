"""ReconBoost: modalities learn in turns, each on what the others leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Choice, Count, WholeNumber
from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method
from msam_lib.methods.requirements import at_least_two
from msam_lib.models.base import Model, Output

if TYPE_CHECKING:
    from torch.optim import Optimizer

VARIANTS = ("paper", "released")


class ReconBoost(Method):
    r"""Reconcilement boosting (Hua et al., ICML 2024, arXiv 2405.09321).

    Modalities take turns, in the model's order. In modality $k$'s turn, for `stage_epochs`,

    $$\mathcal L = -\frac{1}{C} \operatorname*{mean}_i\, (w_1 - w_2 s_i) \log q_i[y]
    + \text{agreement} \cdot \operatorname{mean}\, (q - r)^2,$$

    $q = \mathrm{softmax}\, z_k$, $s_i$ the true class' probability under the summed logits of the
    other modalities (times `rate`), $r$ the prediction of the modality before it in the order: what
    the others know already counts less. Then, for `joint_epochs`, joint training on the fused
    logits. Every phase begins with an empty optimizer state.

    Changes: the schedule. Requires: per-modality logits. In the released code both arguments of
    the agreement term are detached, so that it has no gradient (`variant="released"`). Its
    modalities share one head of two layers and learn the boosting rate in the joint phase; here
    each keeps the head that the fusion has, and the rate is fixed. The published runs start from
    pretrained unimodal encoders; none are loaded here. Without epochs (a bare loop) every step is a
    phase.

    Args:
        stage_epochs, joint_epochs: length of the two phases of a turn.
        w1, w2: weights of the labels and of what the others know.
        agreement: weight of the agreement term.
        rate: on the others' logits.
        variant: see above.
    """

    reference = "Hua et al., ICML 2024, arXiv 2405.09321"
    requires = frozenset({"unimodal_logits"})
    ordered = True
    caveat = "the boosting rate is learnt in the released code; here it is fixed"
    paper_options: ClassVar = {
        "CREMA-D (released)": {"stage_epochs": 4, "joint_epochs": 4, "w1": 5.0, "w2": 1.0},
        "AVE (released)": {"stage_epochs": 4, "joint_epochs": 4, "w1": 4.0, "w2": 1.0},
    }

    def __init__(
        self,
        stage_epochs: Count = 1,
        joint_epochs: WholeNumber = 1,
        w1: AtLeastZero = 5.0,
        w2: AtLeastZero = 1.0,
        agreement: AtLeastZero = 0.5,
        rate: float = 1.0,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        if w1 < w2:
            raise MsamError(f"w1={w1}, w2={w2}; w1 >= w2 >= 0, or the true class is unlearnt.")
        self.stage_epochs, self.joint_epochs = stage_epochs, joint_epochs
        self.w1, self.w2, self.agreement, self.rate = w1, w2, agreement, rate
        self.variant = variant
        self.memory = Memory(time=0, epochs=False, phase=None)

    def check(self, model: Model) -> None:
        """As in the base class; and there must be others to compare a modality with."""
        super().check(model)
        at_least_two(self, model)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Time is counted in epochs from now on."""
        self.memory["time"], self.memory["epochs"] = epoch, True

    def turn(self, modalities: int) -> tuple[int, bool]:
        """Whose turn it is, and whether its boosting phase (else the joint one)."""
        length = self.stage_epochs + self.joint_epochs
        number, place = divmod(self.memory["time"], length)
        return number % modalities, place < self.stage_epochs

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """A step of the present phase."""
        phase = self.turn(len(model.modalities))
        # a new phase: no momentum from the one before
        if list(phase) != self.memory["phase"]:
            if self.memory["phase"] is not None:
                self.given(optimizer).state.clear()
            self.memory["phase"] = list(phase)
        logs = super().differentiate(model, batch, optimizer)
        if not self.memory["epochs"]:  # a bare loop: every step is a phase
            self.memory["time"] += 1
        return logs

    def loss(self, output: Output, batch: Batch) -> Tensor:
        index, boosting = self.turn(len(output.unimodal))
        if not boosting:
            return super().loss(output, batch)
        own = [z.float() for z in output.unimodal.values()]
        rows = torch.arange(len(batch.targets))
        # without another modality there is nothing yet to correct
        others = torch.zeros_like(own[index])
        for i, z in enumerate(own):
            others = others + z.detach() if i != index else others
        others = self.rate * others
        known = others.softmax(-1)[rows, batch.targets]  # s_i (N,)
        log_q = own[index].log_softmax(-1)
        # w1 - w2 s_i: what the others know already counts less
        weight = (self.w1 - self.w2 * known) / log_q.shape[-1]
        boost = -(weight * log_q[rows, batch.targets]).mean()
        q = log_q.exp()
        if self.variant == "released":
            q = q.detach()  # the agreement term has no gradient
        before = own[index - 1].detach().softmax(-1)  # r; index -1: the order is cyclic
        return boost + self.agreement * (q - before).square().mean()
