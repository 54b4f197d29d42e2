"""`Model`: what methods, contributions and diagnostics ask of a model, and `Output`, its answer."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from msam_lib.errors import MsamError, UnsupportedSetting, unknown_name

Inputs = Mapping[str, Tensor]  # {modality: (N, ...)}


def summed(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of one tensor or more."""
    return functools.reduce(torch.add, tensors)


@dataclass
class Output:
    """What a forward pass gives.

    Args:
        logits: (N, C), fused.
        features: {m: (N, D_m)}, what the encoders gave; empty for a model that cannot be split.
        unimodal: {m: (N, C)}, each modality's own logits; empty where the fusion has none.
    """

    logits: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    unimodal: dict[str, Tensor] = field(default_factory=dict)


class Model(nn.Module):
    """Base class: `MultimodalModel`, and `WrappedModel` for somebody's own module.

    A model that can be split (`splittable`) is `fuse(encode(inputs))`; of any other, only whole
    forward passes can be asked for.

    Args:
        modalities: names, in order.
    """

    splittable: ClassVar[bool] = False
    modalities: tuple[str, ...]
    baseline: dict[str, Tensor]

    def __init__(self, modalities: Iterable[str]) -> None:
        super().__init__()
        self.modalities = tuple(modalities)
        self.baseline = {}

    if TYPE_CHECKING:

        def __call__(self, inputs: Inputs, present: Collection[str] | None = None) -> Output: ...

    def forward(self, inputs: Inputs, present: Collection[str] | None = None) -> Output:
        """Fused and unimodal logits; with `present`, the other modalities' inputs are replaced."""
        raise NotImplementedError

    def parameters_of(self, modality: str) -> list[nn.Parameter]:
        """The parameters of one modality's encoder."""
        raise NotImplementedError

    def blocks(self) -> dict[str, dict[str, nn.Parameter]]:
        """Named parameters by block: one block per modality's encoder, and `"fusion"` for all the
        rest.
        """
        raise NotImplementedError

    def encode(self, inputs: Inputs) -> dict[str, Tensor]:
        """Features {m: (N, D_m)} of the inputs {m: (N, ...)}."""
        raise self._whole("encode")

    def fuse(self, features: Mapping[str, Tensor]) -> Output:
        """The output for features {m: (N, D_m)}."""
        raise self._whole("fuse")

    def absent_features(
        self, inputs: Inputs, modalities: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        """{m: (1, D_m)}: the feature that stands for a modality that is not there."""
        raise self._whole("absent_features")

    def _whole(self, name: str) -> UnsupportedSetting:
        return UnsupportedSetting(
            f"{type(self).__name__}.{name}: this model cannot be split into encoders and fusion. "
            "Use a MultimodalModel."
        )

    def set_baseline(self, baseline: Mapping[str, Tensor] | None) -> None:
        """What replaces an absent modality: {m: one sample}, e.g. the training mean; None means
        zeros.
        """
        self.baseline = {m: x[None] if x.dim() else x for m, x in (baseline or {}).items()}

    def replacement(self, modality: str, x: Tensor) -> Tensor:
        """What stands in for an absent input of shape (N, ...): zeros, or the baseline."""
        sample = self.baseline.get(modality)
        return torch.zeros_like(x) if sample is None else sample.to(x).expand_as(x)

    def check(self, inputs: Inputs) -> None:
        """Raise a `MsamError` where an input is missing."""
        missing = [m for m in self.modalities if m not in inputs]
        if missing:
            raise MsamError(
                f"The batch has {sorted(inputs)}, but the model also needs {missing}. Pass every "
                "modality (to leave one out, pass all and name those that stay: present=...)."
            )

    def known(self, modality: str) -> str:
        """`modality`, if the model has it.

        Raises:
            MsamError: for an unknown modality.
        """
        if modality not in self.modalities:
            raise unknown_name("modality", modality, self.modalities)
        return modality
