"""The shares v of the modalities during training, measured on each batch and kept between steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from msam_lib.contributions.coalitions import logits_of_pass
from msam_lib.contributions.measure import EXACT_LIMIT, phi_and_shares, shapley_contributions
from msam_lib.contributions.shapley import coalition_masks, double
from msam_lib.contributions.shares import leader
from msam_lib.contributions.values import ValueFunction, value_function
from msam_lib.data.containers import Batch
from msam_lib.models.base import Model, Output
from msam_lib.tasks import CLASSIFICATION, Task

FEATURES = ("evaluation", "training")


class Dominance(nn.Module):
    """Keeps v (M,) as buffers, so that a resumed run has the same shares.

    They are tensors where the model is, and nothing here waits for the device, except to name a
    leader.

    Args:
        value, contribution: see `contributions.shapley_contributions`.
        smoothing: v <- smoothing * v + (1 - smoothing) * v_batch; 0 takes each batch by itself.
        features: whose features are measured: those of an `"evaluation"` pass, or those of the
            `"training"` pass that has been made.
    """

    shares: Tensor
    phi: Tensor

    def __init__(
        self, value: str | ValueFunction, contribution: str, smoothing: float, features: str
    ) -> None:
        super().__init__()
        self.value, self.contribution, self.smoothing = value, contribution, smoothing
        self.features = features
        self.task: Task = CLASSIFICATION
        self.names: tuple[str, ...] = ()
        self._known = False
        self.register_buffer("shares", torch.zeros(0))
        self.register_buffer("phi", torch.zeros(0))

    def setup(self, model: Model, task: Task) -> None:
        """Forget everything; shares of zero mean that no batch has been measured yet.

        Raises:
            MsamError: a value that this task has not.
        """
        value_function(self.value, task)
        self.task = task
        self.names = tuple(model.modalities)
        zeros = torch.zeros(len(self.names), device=next(model.parameters()).device)
        self.shares, self.phi, self._known = double(zeros), double(zeros), False

    @property
    def known(self) -> bool:
        """Whether a batch has been measured; once it has, the device is not asked again."""
        self._known = self._known or bool(self.shares.any())
        return self._known

    @torch.no_grad()
    def measure(self, model: Model, batch: Batch, output: Output) -> None:
        """Algorithm 1 of M-SAM, line 2: v from this batch; `output` is the training forward pass of
        it.
        """
        self.phi, new = self._measured(model, batch, output)
        # the first batch begins the moving average
        if self.smoothing and self.known:
            new = self.smoothing * self.shares + (1 - self.smoothing) * new
        self.shares = new

    def _measured(self, model: Model, batch: Batch, output: Output) -> tuple[Tensor, Tensor]:
        encode = self.features == "evaluation"
        m = len(self.names)
        if m > EXACT_LIMIT:  # too many coalitions to sum over: sampled
            found = shapley_contributions(
                model,
                batch.inputs,
                batch.targets,
                value=self.value,
                task=self.task,
                contribution=self.contribution,
                features=None if encode else output.features,
            )
            return found.phi, found.weights
        # of a model that cannot be split, the masks are read here, not on the device
        masks = coalition_masks(m, batch.targets.device if model.splittable else None)
        logits = logits_of_pass(model, batch.inputs, masks, output, encode=encode)
        return phi_and_shares(
            logits,
            batch.targets,
            value=self.value,
            task=self.task,
            contribution=self.contribution,
        )

    @property
    def largest(self) -> Tensor:
        """v_d, the dominant modality's share."""
        return self.shares.max()

    def leader(self, *, least: bool = False) -> str:
        """The dominant modality's name (or the weakest one's)."""
        return leader(self.names, self.shares, self.phi, least=least)

    def by_name(self) -> dict[str, Tensor]:
        """{modality: share}."""
        return dict(zip(self.names, self.shares.unbind(), strict=True))
