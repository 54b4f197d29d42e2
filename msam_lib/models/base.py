"""`Model`, the interface that methods, contributions and diagnostics use, and its `Output`."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from msam_lib.errors import MsamError, UnsupportedSetting, unknown_name

Inputs = Mapping[str, Tensor]  # {modality: (N, ...)}


class Layout(NamedTuple):
    """How the features (N, D) of a modality are put together: D = segments * places * (values +
    keys), in that order.

    Args:
        segments: S, in time; 1 where the features are of the whole sample.
        places: P, of every segment.
        keys: of every place, what attention looks at; the values are what it picks.
    """

    segments: int = 1
    places: int = 1
    keys: int = 0


def summed(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of one tensor or more."""
    return functools.reduce(torch.add, tensors)


@dataclass
class Output:
    """The result of a forward pass.

    Args:
        logits: (N, C), fused.
        features: {m: (N, D_m)} of the encoders; empty for a model that cannot be split.
        unimodal: {m: (N, C)}, each modality's own logits; empty where the fusion has none.
    """

    logits: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    unimodal: dict[str, Tensor] = field(default_factory=dict)


class Model(nn.Module):
    """Base class of `MultimodalModel`, and of `WrappedModel` for any other module.

    A model that can be split (`splittable`) is `fuse(encode(inputs))`; any other has whole forward
    passes only.

    Args:
        modalities: names, in order.
    """

    splittable: ClassVar[bool] = False
    modalities: tuple[str, ...]
    baseline: dict[str, Tensor]
    micro_sizes: tuple[int, ...] = ()  # see `models.micro_batches`

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
        """{m: (1, D_m)}: the features of the inputs that replace absent modalities."""
        raise self._whole("absent_features")

    def _whole(self, name: str) -> UnsupportedSetting:
        """The error for a method that only a model that can be split has."""
        return UnsupportedSetting(
            f"{type(self).__name__}.{name}: this model cannot be split into encoders and fusion. "
            "Use a MultimodalModel."
        )

    def set_baseline(self, baseline: Mapping[str, Tensor] | None) -> None:
        """Set the inputs that replace absent modalities: {m: one sample}, e.g. the training mean;
        None sets zeros.
        """
        self.baseline = {m: x[None] if x.dim() else x for m, x in (baseline or {}).items()}

    def replacement(self, modality: str, x: Tensor) -> Tensor:
        """The replacement of an absent input, of its shape (N, ...): zeros, or the baseline."""
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
        """The modality's name, if the model has it.

        Raises:
            MsamError: an unknown modality.
        """
        if modality not in self.modalities:
            raise unknown_name("modality", modality, self.modalities)
        return modality
