"""The shares v of the modalities during training, measured on each batch and kept between steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from msam_lib.contributions.measure import leader, shapley_contributions, value_function
from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError, unknown_name
from msam_lib.models.base import Model

HOWS = ("clip", "agm", "softmax")


class Dominance(nn.Module):
    """Keeps v (M,) as buffers, so that a resumed run goes on with the same shares.

    Args:
        value, contribution: see `contributions.shapley_contributions`.
        smoothing: v <- smoothing * v + (1 - smoothing) * v_batch; 0 takes each batch by itself.
    """

    shares: Tensor
    phi: Tensor

    def __init__(self, value: str, contribution: str, smoothing: float) -> None:
        super().__init__()
        value_function(value)
        if contribution not in HOWS:
            raise unknown_name("contribution", contribution, HOWS)
        if not 0 <= smoothing < 1:
            raise MsamError(f"smoothing={smoothing}; it must be at least 0 and less than 1.")
        self.value, self.contribution, self.smoothing = value, contribution, smoothing
        self.names: tuple[str, ...] = ()
        self.register_buffer("shares", torch.zeros(0))
        self.register_buffer("phi", torch.zeros(0))

    def setup(self, modalities: Sequence[str]) -> None:
        """Forget everything; shares of zero mean that no batch has been measured yet."""
        self.names = tuple(modalities)
        self.shares, self.phi = torch.zeros(len(self.names)), torch.zeros(len(self.names))

    @property
    def known(self) -> bool:
        """Whether a batch has been measured."""
        return bool(self.shares.any())

    def measure(self, model: Model, batch: Batch, features: Mapping[str, Tensor]) -> None:
        """Algorithm 1 of M-SAM, line 2: v from this batch, with the features of the training
        forward pass.
        """
        found = shapley_contributions(
            model,
            batch.inputs,
            batch.targets,
            value=self.value,
            contribution=self.contribution,
            features={m: f.detach() for m, f in features.items()} or None,
        )
        new, self.phi = found.weights.to(self.shares), found.phi.to(self.shares)
        if self.smoothing and self.known:
            new = self.smoothing * self.shares + (1 - self.smoothing) * new
        self.shares = new

    @property
    def largest(self) -> float:
        """v_d, the dominant modality's share."""
        return float(self.shares.max())

    def leader(self, *, least: bool = False) -> str:
        """The dominant modality's name (or the weakest one's)."""
        return leader(self.names, self.shares, self.phi, least=least)

    def as_dict(self) -> dict[str, float]:
        """{modality: share}."""
        return dict(zip(self.names, self.shares.tolist(), strict=True))
