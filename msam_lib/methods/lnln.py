"""LNLN: training with missing data, led by one modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.methods._gradients import backward
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model, summed
from msam_lib.models.contexts import frozen_statistics
from msam_lib.models.fusions.lnln import LNLNFusion, Parts
from msam_lib.models.multimodal import split

if TYPE_CHECKING:
    from torch.optim import Optimizer


class LNLN(Method):
    """Language-dominated noise-resistant learning (Zhang, Wang, Yu, NeurIPS 2024, arXiv
    2409.20012).

    Every sample of a batch gets a rate r_m of missing data per modality, uniform in [0, missing];
    that share of its input values is set to 0. With the parts of the `lnln` fusion,

        L = task + completeness MSE(w, 1 - r_leading) + adversarial CE + reconstruction MSE,

    the adversarial term being a discriminator between the leading modality's feature and the proxy,
    through a reversed gradient, and the reconstruction that of the *complete* inputs' features.

    Changes: the loss and the data. Requires: features, and fusion `"lnln"`. Whichever modality
    leads is the fusion's option `leading`. Regression works where the model has one output and the
    targets are numbers. What the fusion simplifies stands in its docstring.

    Args:
        missing: largest rate; 0 trains on complete data.
        completeness, adversarial, reconstruction: weights of the terms.
    """

    reference = "Zhang et al., NeurIPS 2024, arXiv 2409.20012"
    passes = "1 forward, 1 backward; the encoders once more without gradient"
    requires = frozenset({"features"})
    fusions = ("lnln",)
    tasks = ("classification", "regression")
    caveat = "one vector per modality: the paper's Transformer blocks become single layers"
    neutral: ClassVar = {
        "missing": 0.0, "completeness": 0.0, "adversarial": 0.0, "reconstruction": 0.0,
    }  # fmt: skip
    paper_options: ClassVar = {
        "MOSI": {"completeness": 0.9, "adversarial": 0.8, "reconstruction": 0.1}
    }

    def __init__(
        self,
        missing: float = 0.5,
        completeness: float = 0.9,
        adversarial: float = 0.8,
        reconstruction: float = 0.1,
    ) -> None:
        super().__init__()
        if not 0 <= missing <= 1:
            raise MsamError(f"missing={missing}; a share between 0 and 1.")
        weights = (completeness, adversarial, reconstruction)
        if any(not w >= 0 for w in weights):
            raise MsamError(
                f"completeness={completeness}, adversarial={adversarial}, "
                f"reconstruction={reconstruction}; every weight must be 0 or larger."
            )
        self.missing, self.completeness = missing, completeness
        self.adversarial, self.reconstruction = adversarial, reconstruction

    def step(self, model: Model, batch: Batch, optimizer: Optimizer) -> Logs:
        """One step on damaged inputs."""
        self.prepare(model, optimizer)
        damaged, rates = self.damage(model, batch)
        with self.autocast(batch):
            features = model.encode(damaged)
            parts = _fusion(model).parts(features)
        task = self.task_loss(parts.logits, batch.targets)
        terms = {"task": task}
        if self.completeness:
            truth = 1 - rates[_fusion(model).leading]
            terms["completeness"] = self.completeness * F.mse_loss(parts.completeness, truth)
        if self.adversarial:
            terms["adversarial"] = self.adversarial * self._adversary(model, parts)
        if self.reconstruction:
            terms["reconstruction"] = self.reconstruction * self._rebuilt(model, batch, parts)
        backward(summed(terms.values()))
        self.update(model, optimizer)
        logs: Logs = {f"{k}_term": v.detach() for k, v in terms.items() if k != "task"}
        return {"loss": task.detach()} | logs

    def task_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, or the squared error of the one output where targets are numbers."""
        if targets.is_floating_point():
            return F.mse_loss(logits[:, 0].float(), targets)
        return F.cross_entropy(logits.float(), targets)

    def damage(self, model: Model, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Inputs with missing values, and the rates (N,) per modality."""
        if not self.missing:
            zeros = torch.zeros(len(batch.targets), device=batch.targets.device)
            return dict(batch.inputs), dict.fromkeys(batch.inputs, zeros)
        inputs, rates = dict(batch.inputs), {}
        for m in model.modalities:
            x = inputs[m]
            rates[m] = self.missing * torch.rand(len(x), device=x.device)
            there = torch.rand(x.shape, device=x.device) >= rates[m].view(-1, *[1] * (x.dim() - 1))
            inputs[m] = x * there.to(x)
        return inputs, rates

    def _adversary(self, model: Model, parts: Parts) -> Tensor:
        """The discriminator learns to tell the two apart; what lies before it, to confuse it.

        It sees directions only: by their length alone the two could run away from it for ever.
        """
        both = torch.cat([parts.leading, parts.proxy]).float()
        both = F.layer_norm(both, both.shape[1:])
        logits = _fusion(model).discriminator(_Reversed.apply(both))
        n = len(parts.leading)
        truth = torch.arange(2, device=logits.device).repeat_interleave(n)
        return F.cross_entropy(logits.float(), truth)

    def _rebuilt(self, model: Model, batch: Batch, parts: Parts) -> Tensor:
        with torch.no_grad(), frozen_statistics(model):
            whole = model.encode(batch.inputs)
        each = [F.mse_loss(parts.rebuilt[m].float(), h.float()) for m, h in whole.items()]
        return summed(each) / len(each)


def _fusion(model: Model) -> LNLNFusion:
    """The model's fusion; `fusions` has made sure that it is LNLN's."""
    fusion = split(model).fusion
    if not isinstance(fusion, LNLNFusion):
        raise UnsupportedSetting(f"LNLN needs fusion 'lnln'; this is {type(fusion).__name__}.")
    return fusion


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient is turned round (Ganin, Lempitsky, ICML 2015)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return -grad
