"""LNLN: training with missing data, led by one modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Choice, Share
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.errors import UnsupportedSetting
from msam_lib.methods._gradients import backward
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model, summed
from msam_lib.models.contexts import frozen_statistics
from msam_lib.models.fusions.lnln import LNLNFusion, Parts, reversed_gradient
from msam_lib.models.multimodal import split

if TYPE_CHECKING:
    from torch.optim import Optimizer

VARIANTS = ("paper", "released")


class LNLN(Method):
    r"""Language-dominated noise-resistant learning (Zhang, Wang, Yu, NeurIPS 2024, arXiv
    2409.20012).

    Every sample of a batch gets a rate $r_m$ of missing data per modality, uniform in
    $[0, \text{missing}]$; that share of its input values is set to 0. With the parts of the `lnln`
    fusion,

    $$\mathcal L = \text{task}
    + \text{completeness} \cdot \mathrm{MSE}(w, 1 - r_{\text{leading}})
    + \text{adversarial} \cdot \mathrm{CE} + \text{reconstruction} \cdot \mathrm{MSE},$$

    the adversarial term being a discriminator between the leading modality's feature and the proxy,
    through a reversed gradient, and the reconstruction that of the *complete* inputs' features.

    Changes: the loss and the data. Requires: features, and fusion `"lnln"`. Whichever modality
    leads is the fusion's option `leading`. Regression works where the model has one output and the
    targets are numbers.

    `variant="released"` has the released code's terms: the discriminator tells the corrected
    feature (1) from the leading feature of the complete inputs (0); only the proxy's gradient is
    reversed, before the correction, so the task's gradient reaches it reversed, too; a rate is 0
    with probability one half, else uniform in $[0, 1]$; the reconstruction's targets have a
    gradient. The default departs from it: it compares leading feature and proxy, reverses the
    gradient of both and of nothing else, after a layer norm, and its targets are constants. Both
    depart from it in this: values go missing one by one instead of whole time steps, the rates are
    drawn anew in every step, and the fusion is simpler (see its docstring).

    Args:
        missing: largest rate; 0 trains on complete data. By default 0.5, as released 1.
        completeness, adversarial, reconstruction: weights of the terms.
        variant: see above.
    """

    reference = "Zhang et al., NeurIPS 2024, arXiv 2409.20012"
    passes = "1 forward, 1 backward; the encoders once more"
    requires = frozenset({"features"})
    fusions = ("lnln",)
    tasks = ("classification", "regression")
    caveat = "one vector per modality: the paper's Transformer blocks become single layers"
    neutral: ClassVar = {
        "missing": 0.0, "completeness": 0.0, "adversarial": 0.0, "reconstruction": 0.0,
        "variant": "paper",
    }  # fmt: skip
    paper_options: ClassVar = {
        "MOSI": {"completeness": 0.9, "adversarial": 0.8, "reconstruction": 0.1}
    }

    def __init__(
        self,
        missing: Share | None = None,
        completeness: AtLeastZero = 0.9,
        adversarial: AtLeastZero = 0.8,
        reconstruction: AtLeastZero = 0.1,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.missing, self.completeness = missing, completeness
        self.adversarial, self.reconstruction = adversarial, reconstruction
        self.variant = variant

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """One step on damaged inputs."""
        damaged, rates = self.damage(model, batch)
        with self.autocast(batch):
            features = model.encode(damaged)
            parts = _fusion(model).parts(features, reverse=self.variant == "released")
        whole = self._complete(model, batch)
        task = self.task_loss(parts.logits, batch.targets)
        terms = {"task": task}
        if self.completeness:
            truth = 1 - rates[_fusion(model).leading]  # what the completeness estimate w is to be
            terms["completeness"] = self.completeness * F.mse_loss(parts.completeness, truth)
        if self.adversarial:
            terms["adversarial"] = self.adversarial * self._adversary(model, parts, whole)
        if self.reconstruction:
            terms["reconstruction"] = self.reconstruction * _error(parts, whole)
        backward(summed(terms.values()))
        logs: Logs = {f"{k}_term": v.detach() for k, v in terms.items() if k != "task"}
        return {"loss": task.detach()} | logs

    def task_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The task's loss; in a regression the paper's is the squared error, Regression("l2")."""
        return self.task.loss(logits.float(), targets)

    def damage(self, model: Model, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Inputs with missing values, and the rates (N,) per modality."""
        released = self.variant == "released"
        largest = self.missing if self.missing is not None else (1.0 if released else 0.5)
        if not largest:
            zeros = torch.zeros(len(batch.targets), device=batch.targets.device)
            return dict(batch.inputs), dict.fromkeys(batch.inputs, zeros)
        inputs, rates = dict(batch.inputs), {}
        for m in model.modalities:
            x = inputs[m]
            rates[m] = largest * world.rand(len(x), device=x.device)
            if released:
                rates[m] *= world.rand(len(x), device=x.device) < 0.5  # half of them complete
            # each value stays with probability 1 - r_m, one r_m per sample
            draws = world.rand(*x.shape, device=x.device)
            there = draws >= rates[m].view(-1, *[1] * (x.dim() - 1))
            inputs[m] = x * there.to(x)
        return inputs, rates

    def _complete(self, model: Model, batch: Batch) -> dict[str, Tensor]:
        """The features of the complete inputs, where a term needs them."""
        released = self.variant == "released"
        if not (self.reconstruction or (released and self.adversarial)):
            return {}
        # the step's own pass on damaged inputs advances batch-norm statistics
        with torch.set_grad_enabled(released), frozen_statistics(model), self.autocast(batch):
            return model.encode(batch.inputs)

    def _adversary(self, model: Model, parts: Parts, whole: dict[str, Tensor]) -> Tensor:
        """The discriminator learns to distinguish the two; what lies before it, to confuse it.

        By default it sees directions only: by their length alone the two could run away from it for
        ever.
        """
        fusion = _fusion(model)
        if self.variant == "released":
            project = fusion.project[fusion.leading]
            complete = project(whole[fusion.leading].to(next(project.parameters())))
            both = torch.cat([complete, parts.corrected.to(complete)])  # classes 0 and 1
        else:
            both = torch.cat([parts.leading, parts.proxy])
            both = both.to(next(fusion.discriminator.parameters()))  # not in autocast's precision
            both = reversed_gradient(F.layer_norm(both, both.shape[1:]))
        logits = fusion.discriminator(both)
        # 0: the leading feature; 1: the proxy, or the corrected feature
        truth = torch.arange(2, device=logits.device).repeat_interleave(len(parts.leading))
        return F.cross_entropy(logits.float(), truth)


def _error(parts: Parts, whole: dict[str, Tensor]) -> Tensor:
    """Mean squared error of the rebuilt features, mean over modalities."""
    each = [F.mse_loss(parts.rebuilt[m].float(), h.float()) for m, h in whole.items()]
    return summed(each) / len(each)


def _fusion(model: Model) -> LNLNFusion:
    """The model's fusion; `fusions` has made sure that it is LNLN's."""
    fusion = split(model).fusion
    if not isinstance(fusion, LNLNFusion):
        raise UnsupportedSetting(f"LNLN needs fusion 'lnln'; this is {type(fusion).__name__}.")
    return fusion
