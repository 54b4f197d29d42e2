"""MSES: every modality stops learning when its own validation loss does."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from msam_lib._utils.options import Count, ShareBelowOne
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import own_parameters
from msam_lib.methods._scores import Scores, modality_scores, on_split
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model, Output
from msam_lib.tasks import KINDS


class MSES(Method):
    r"""Modality-specific early stopping (Fujimori et al., ACPR 2019 workshops, 2020).

    After each epoch the validation loss of each modality's own logits is smoothed,

    $$\ell_m = \text{smoothing} \cdot \text{loss of the epoch before}
    + (1 - \text{smoothing}) \cdot \text{loss now}.$$

    A modality whose $\ell_m$ has had no new minimum for more than `patience` epochs gets the
    weights and batch-norm statistics (encoder and head) of its best epoch back, and keeps the
    weights: its gradients are set to None, so neither momentum nor weight decay moves it. (AGM's
    code multiplies them by 0, which leaves both at work.) AGM's code loads the whole model and the
    optimizer of that epoch, so that the other modalities and the fusion lose what they have learnt
    since; here only the modality that stops goes back.

    A modality's own logits are the fusion's term where the logits are a sum over modalities, else
    the Shapley response of the logits, as in AGM's code.

    Changes: the schedule. Requires: which parameters belong to which encoder, and epochs (in a bare
    loop nothing stops). Batch-norm statistics of a stopped encoder still follow its inputs. Under
    fusions without a head per modality only the encoder stops; so it is with concatenation, where
    the heads are slices of one shared layer, which continues to learn.

    Args:
        patience: epochs without a new minimum that are allowed; None never stops (joint training).
        smoothing: weight of the epoch before, 0 to less than 1.
    """

    tasks = KINDS
    reference = "Fujimori et al., 2020"
    requires = frozenset({"encoders"})
    neutral: ClassVar = {"patience": None}
    caveat = "after AGM's code, where 0.6 and the patience are found; the paper was not at hand"
    paper_options: ClassVar = {
        "AV-MNIST (AGM's code)": {"patience": 10},
        "UR-Funny (AGM's code)": {"patience": 30},
        "CREMA-D (AGM's code)": {"patience": 80},
    }

    def __init__(self, patience: Count | None = 10, smoothing: ShareBelowOne = 0.6) -> None:
        super().__init__()
        self.patience, self.smoothing = patience, smoothing
        self.memory = Memory(raw={}, best={}, since={}, kept={}, stopped=[])

    def scores(self, model: Model, output: Output, batch: Batch) -> Scores:
        """What each modality says on its own, {m: (N, C)}."""
        return modality_scores(model, output, batch.inputs)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """An ordinary step without the stopped modalities; logs who has stopped."""
        logs = super().differentiate(model, batch, optimizer)
        names, stopped = model.modalities, self.memory["stopped"]
        return logs | {f"stopped/{m}": float(m in stopped) for m in names}

    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        for m in self.memory["stopped"]:
            for p in own_parameters(model, m):
                p.grad = None  # None, not 0: neither momentum nor weight decay moves it

    def on_epoch_end(self, model: Model, epoch: int, loaders: Any, history: Any) -> None:
        """Look at every modality that still learns."""
        if self.patience is None:
            return
        losses = unimodal_losses(model, loaders.evaluation["val"], self)
        for m, loss in losses.items():
            if m not in self.memory["stopped"]:
                self._look(model, m, loss)

    def _look(self, model: Model, m: str, loss: float) -> None:
        state = self.memory
        # l_m; in the first epoch the loss itself
        smooth = self.smoothing * state["raw"].get(m, loss) + (1 - self.smoothing) * loss
        state["raw"][m] = loss
        if smooth < state["best"].get(m, float("inf")):
            state["best"][m], state["since"][m] = smooth, 0
            state["kept"][m] = [t.detach().clone() for t in _tensors(model, m)]  # best so far
            return
        state["since"][m] += 1
        if self.patience is not None and state["since"][m] > self.patience:
            with torch.no_grad():  # back to the best epoch; the others go on
                for t, kept in zip(_tensors(model, m), state["kept"].pop(m), strict=True):
                    t.copy_(kept)
            state["stopped"] = [*state["stopped"], m]


def _tensors(model: Model, m: str) -> list[Tensor]:
    """All that is the modality's alone: its weights and its encoder's statistics."""
    encoder = {id(p) for p in model.parameters_of(m)}
    statistics: dict[int, Tensor] = {}
    for module in model.modules():
        weights = {id(p) for p in module.parameters()}
        if weights and weights <= encoder:  # a part of the encoder, also of a wrapped model's
            statistics |= {id(b): b for b in module.buffers()}
    return [*own_parameters(model, m), *statistics.values()]


def unimodal_losses(model: Model, data: Any, rule: MSES) -> dict[str, float]:
    """{modality: mean loss of its own logits} on a split, in evaluation mode."""
    _, scores, targets = on_split(model, data, rule.scores)
    return {m: float(rule.task.loss(z, targets)) for m, z in scores.items()}
