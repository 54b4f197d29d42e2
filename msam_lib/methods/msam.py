"""M-SAM: modality-aware sharpness-aware minimisation, in the three readings its sources allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Choice, Share, ShareBelowOne
from msam_lib.contributions.shares import HOWS
from msam_lib.contributions.values import VALUES
from msam_lib.data.containers import Batch
from msam_lib.errors import UnsupportedSetting, unknown_name
from msam_lib.methods._dominance import FEATURES, Dominance
from msam_lib.methods._gradients import (
    backward,
    gradients,
    grads_of,
    scale,
    times,
    trainable,
    with_gradient,
)
from msam_lib.methods._own_loss import own_loss
from msam_lib.methods._perturbation import SecondPass, ascent, displaced, momentum_of
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, Output, summed
from msam_lib.models.contexts import frozen_statistics
from msam_lib.models.multimodal import split
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer

READINGS = ("literal", "encoder", "unimodal_loss")
ASCENTS = ("gradient", "momentum")
TARGETS = ("dominant", "weakest")


class MSAM(Method):
    r"""Modality-aware SAM (Nowdeh et al., NeurIPS 2025, arXiv 2510.24919, Algorithm 1).

    With the shares $v_m$ of the modalities (Shapley values of the batch accuracy) and the dominant
    modality $d = \operatorname{argmax} v$, the update is

    $$g = \nabla \mathcal L_d(\theta + \epsilon) + \nabla \mathcal L_s(\theta),$$
    $$\epsilon = \rho \nabla \mathcal L_d / \lVert \nabla \mathcal L_d \rVert.$$

    The sources leave open what $\mathcal L_d$ is, so there are three readings:

    * `"literal"`, Algorithm 1 as printed: $\mathcal L_d = v_d \mathcal L$ and
      $\mathcal L_s = (1 - v_d) \mathcal L$ share the fused loss, hence
      $g = (1 - v_d) \nabla \mathcal L(\theta) + v_d \nabla \mathcal L(\theta + \epsilon)$ with
      SAM's $\epsilon$. Which modality is dominant does not change the step, only how unbalanced the
      shares are. $v_d = 1$ is SAM, $\rho = 0$ is joint training, and to first order the step is
      SAM's with radius $\rho v_d$ (exactly so on a quadratic).
    * `"encoder"`, the authors' prose: $\epsilon$ is confined to the dominant modality's encoder,
      which follows the mixture above; everything else follows $\nabla \mathcal L(\theta)$. The
      second pass reuses the other features.
    * `"unimodal_loss"`: $\mathcal L_m$ are true unimodal losses $\mathrm{CE}(f(x_m), y)$, from the
      modality's own logits where the fusion has them and from masked inputs where not;
      $\mathcal L_d$ is $v_d$ times the dominant one's, $\mathcal L_s$ the sum over the others of
      $v_m \mathcal L_m$.

    Changes: the landscape. Requires: encoder blocks for `reading="encoder"`, nothing else. No code
    was released. Algorithm 1 prints three backward passes; $\nabla \mathcal L$ is shared, two
    suffice. Shares of an accuracy are exact: right answers are counted.

    Args:
        rho: radius of the perturbation.
        reading: see above.
        value: $\Phi$, `"task"` (accuracy, the paper's), `"log_likelihood"` or `"confidence"`.
        contribution: `"clip"`, `"agm"` or `"softmax"`; see `contributions.normalise`.
        smoothing: moving average over steps, $v \leftarrow s v + (1 - s)\, v_{\text{batch}}$ with
            this number $s$; 0 is the paper.
        ascent: `"gradient"`, or `"momentum"`: one gradient at
            $\theta + \rho\, v_d u / \lVert u \rVert$, $u$ the momentum and $v$ of the step before
            (after Momentum-SAM, Becker et al. 2024): the cost of plain training.
        target: whose encoder is perturbed with `reading="encoder"`: `"dominant"`, `"weakest"` (to
            see what harm it does) or the name of a modality.
        mixing: a number in place of $v_d$ in the mixture; 1.0 takes the perturbed gradient alone.
        features: `"evaluation"` measures the network as it answers in evaluation mode, which is
            what the paper's $\Phi$ means, its performance with the other modalities zeroed:
            encoders with batch normalisation or dropout run once more, without gradients.
            `"training"` saves that pass and takes the features of the training pass, with its batch
            statistics and dropout; only absent modalities and the fusion are then in evaluation
            mode. In the first steps the two name different dominant modalities, later they hardly
            differ (benchmarks/shares_of_features.py).
    """

    tasks = KINDS
    requires = frozenset({"separate_encoders"})
    reference = "Nowdeh et al., NeurIPS 2025, arXiv 2510.24919"
    passes = "2 forward, 2 backward; with ascent='momentum' 1 and 1"
    neutral: ClassVar = {"rho": 0.0}

    def __init__(
        self,
        rho: AtLeastZero = 0.05,
        reading: Annotated[str, Choice(READINGS)] = "literal",
        value: Annotated[str, Choice(VALUES)] | Callable[..., Tensor] = "task",
        contribution: Annotated[str, Choice(HOWS)] = "clip",
        smoothing: ShareBelowOne = 0.0,
        ascent: Annotated[str, Choice(ASCENTS)] = "gradient",
        target: str = "dominant",
        mixing: Share | None = None,
        features: Annotated[str, Choice(FEATURES)] = "evaluation",
    ) -> None:
        super().__init__()
        if reading == "unimodal_loss" and ascent == "momentum":
            raise UnsupportedSetting(
                "reading='unimodal_loss' needs the gradient of L_d for its ascent, which "
                "ascent='momentum' does not compute. Use ascent='gradient', or another reading."
            )
        self.rho, self.reading, self.value, self.contribution = rho, reading, value, contribution
        self.smoothing, self.ascent, self.target, self.mixing = smoothing, ascent, target, mixing
        self.features = features
        self.dominance = Dominance(value, contribution, smoothing, features)

    def needs(self) -> frozenset[str]:
        confined = self.reading == "encoder"
        return self.requires | ({"encoders", "trained_encoders"} if confined else set())

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        if self.target not in (allowed := [*TARGETS, *model.modalities]):
            raise unknown_name("target", self.target, allowed)
        self.dominance.setup(model, self.task)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """One training step in the chosen reading. Logs the loss and the shares."""
        if self.ascent == "momentum":
            loss = self._momentum(model, batch, self.given(optimizer))
        else:
            loss = getattr(self, f"_{self.reading}")(model, batch)
        logs: Logs = {"loss": loss.detach()}
        return logs | {f"share/{m}": v for m, v in self.dominance.by_name().items()}

    def _measure(self, model: Model, batch: Batch, output: Output) -> None:
        """Algorithm 1, line 2: the shares v."""
        with self.autocast(batch):
            self.dominance.measure(model, batch, output)

    def _mixture(self) -> Tensor | float:
        """v_d, or the fixed number in its place; it stays on the device."""
        return self.dominance.largest if self.mixing is None else self.mixing

    def _target(self) -> str:
        """Line 3: whose encoder is perturbed. To name it, the shares are read from the device."""
        if self.target not in TARGETS:
            return self.target
        return self.dominance.leader(least=self.target == "weakest")

    def _literal(self, model: Model, batch: Batch) -> Tensor:
        second = SecondPass(model, batch)
        output, loss = self.compute(model, batch)
        backward(loss, over=second.first)  # grad L(theta), which L_d and L_s share
        self._measure(model, batch, output)
        v = self._mixture()
        del output  # not needed in the second pass
        parameters = with_gradient(trainable(model))
        grads = grads_of(parameters)
        eps = ascent(grads, self.rho)  # line 6: grad L_d is parallel to grad L, so v_d cancels
        scale(grads, 1 - v)  # line 8's second term: grad L_s = (1 - v_d) grad L
        with second.at(parameters, eps):
            del eps
            again = self.compute(model, batch)[1]
            backward(times(again, v), over=second.last)  # its first term, added to what is there
        return loss

    def _encoder(self, model: Model, batch: Batch) -> Tensor:
        second = SecondPass(model, batch)
        output, loss = self.compute(model, batch)
        backward(loss, over=second.first)
        self._measure(model, batch, output)
        v, target = self._mixture(), self._target()
        parameters = with_gradient(model.parameters_of(target))
        kept = {m: f.detach() for m, f in output.features.items()}  # other encoders run once
        del output
        eps = ascent(grads_of(parameters), self.rho)  # confined to the target's encoder
        second.settle()
        with second.at(parameters, eps):
            del eps
            with self.autocast(batch):
                again = self._again(model, batch, kept, target)
                perturbed_grads = gradients(times(self.loss(again, batch), v), parameters)
        grads = grads_of(parameters)
        scale(grads, 1 - v)  # the mixture, in this encoder only; the rest keeps grad L(theta)
        torch._foreach_add_(grads, perturbed_grads)
        return loss

    def _unimodal_loss(self, model: Model, batch: Batch) -> Tensor:
        second = SecondPass(model, batch)
        with self.autocast(batch):
            output = model(batch.inputs)
        self._measure(model, batch, output)
        target = self._target()
        v: dict[str, Tensor | float] = {**self.dominance.by_name()}
        if self.mixing is not None:
            v[target] = self.mixing
        with self.autocast(batch), frozen_statistics(model):
            losses = {
                m: times(own_loss(model, batch, output, m, self.task), v[m])
                for m in model.modalities
            }
        kept = {m: f.detach() for m, f in output.features.items()}
        backward(losses[target], over=second.first)  # grad L_d(theta), for eps alone
        parameters = with_gradient(trainable(model))  # L_d reaches no other modality's encoder
        eps = ascent(grads_of(parameters), self.rho)
        for p in parameters:
            p.grad = None  # L_d is followed at theta + eps, not here
        if others := [x for m, x in losses.items() if m != target]:
            backward(sum(others[1:], others[0]))  # grad L_s(theta)
        with second.at(parameters, eps):
            with self.autocast(batch):
                there = self._again(model, batch, kept, target)
                again = own_loss(model, batch, there, target, self.task)
            backward(times(again, v[target]))  # line 8: grad L_d(theta + eps) is added
        return summed(x.detach() for x in losses.values())

    def _again(self, model: Model, batch: Batch, kept: dict[str, Tensor], target: str) -> Output:
        """The second forward pass: only the target's encoder runs where the model can be split."""
        if not model.splittable:
            return model(batch.inputs)
        return model.fuse(kept | {target: split(model).encode_one(target, batch.inputs[target])})

    def _momentum(self, model: Model, batch: Batch, optimizer: Optimizer) -> Tensor:
        """One pass at theta + rho * v_d * momentum / ||momentum||; v_d of the step before."""
        whole = self.reading == "literal"
        scope = trainable(model) if whole else model.parameters_of(self._target())
        moving = [(p, b) for p in scope if (b := momentum_of(optimizer, p)) is not None]
        if not moving and any(optimizer.state.values()):
            raise UnsupportedSetting(
                f"ascent='momentum' needs an optimizer with momentum; {type(optimizer).__name__} "
                "keeps none. Use SGD(momentum=0.9), AdamW, or ascent='gradient'."
            )
        if not moving or not self.dominance.known:  # the first step: nothing moves yet
            output, loss = self.compute(model, batch)
            backward(loss)
            self._measure(model, batch, output)
            return loss
        parameters, momenta = [p for p, _ in moving], [b for _, b in moving]
        with displaced(parameters, ascent(momenta, self.rho * self._mixture())):
            output, loss = self.compute(model, batch)
            backward(loss)
            self._measure(model, batch, output)
        return loss
