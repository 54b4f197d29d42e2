"""Diagnostics during training: objects for `Trainer(probes=...)`, called as `probe(model, epoch,
loaders)`.

Each measures a fixed part of the training split every `every` epochs and returns rows that the
`Trainer` keeps with split `"probe"`. They use separate random generators, so that a run with probes
trains exactly as one without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from msam_lib.data.containers import MultimodalDataset
from msam_lib.diagnostics._blocks import ALL, modality_of
from msam_lib.diagnostics._samples import Sampling
from msam_lib.diagnostics.curvature.block_traces import block_traces
from msam_lib.diagnostics.probes.representations import (
    gradient_alignment,
    gradient_norms,
    linear_probe,
)
from msam_lib.diagnostics.sharpness.ascent import ascent_sharpness
from msam_lib.diagnostics.sharpness.average import average_sharpness
from msam_lib.diagnostics.sharpness.keskar import keskar_sharpness
from msam_lib.errors import MsamError, unknown_name
from msam_lib.models.base import Model
from msam_lib.training.evaluate import Row
from msam_lib.training.trainer import Loaders

SHARPNESS = ("keskar", "sam", "adaptive", "average")

Measure = Callable[[Any, MultimodalDataset], Mapping[str, float]]


def training_part(loaders: Loaders) -> MultimodalDataset:
    """The training samples that are measured: the fixed part where there is one, else the whole
    split.
    """
    return loaders.evaluation.get("train", loaders.train.dataset)


@dataclass
class _Probe:
    every: int = 1
    samples: int | None = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise MsamError(f"every={self.every}; a probe runs every 1, 2, ... epochs.")

    @property
    def sampling(self) -> Sampling:
        """The samples that are measured."""
        return Sampling(samples=self.samples, seed=self.seed)


@dataclass
class TraceProbe(_Probe):
    """Hessian traces: metrics `hessian_trace` and `hessian_trace_se` per block; modality `"fused"`
    is the total.

    Args:
        every: epochs between two measurements (epoch 0, before training, is one).
        samples: of the training part; fixed by `seed`.
        seed: of samples and probes. The same at every epoch, so that curves differ by the weights
            alone.
        probes: see `block_traces`.
        mode: of batch normalisation.
    """

    probes: int = 20
    mode: str = "eval"

    @property
    def sampling(self) -> Sampling:
        """The samples that are measured, and the mode."""
        return Sampling(samples=self.samples, seed=self.seed, mode=self.mode)

    def __call__(self, model: nn.Module, epoch: int, loaders: Loaders) -> list[Row]:
        traces = block_traces(
            model,
            training_part(loaders),
            probes=self.probes,
            sampling=self.sampling,
            progress=False,
        )
        out = []
        for b, trace in traces.items():
            out.append(Row(modality_of(b), "hessian_trace", trace.value))
            if not math.isnan(trace.std_error):
                out.append(Row(modality_of(b), "hessian_trace_se", trace.std_error))
        return out


@dataclass
class AlignmentProbe(_Probe):
    """Metrics `gradient_cosine` (of the modality's loss and the fused loss) per modality, and
    `gradient_norm` per block.
    """

    def __call__(self, model: Model, epoch: int, loaders: Loaders) -> list[Row]:
        data = training_part(loaders)
        cosines = gradient_alignment(model, data, sampling=self.sampling)
        norms = gradient_norms(model, data, sampling=self.sampling)
        out = [Row(m, "gradient_cosine", a.cosine) for m, a in cosines.items()]
        return out + [Row(b, "gradient_norm", v) for b, v in norms.items()]


@dataclass
class LinearProbe(_Probe):
    """Metric `linear_probe`: test accuracy of a linear classifier on each modality's frozen
    features.

    Args:
        every, samples, seed: as for `TraceProbe`.
        split: whose accuracy is reported.
    """

    split: str = "test"

    def __call__(self, model: Model, epoch: int, loaders: Loaders) -> list[Row]:
        if self.split not in loaders.evaluation:
            raise unknown_name("split", self.split, loaders.evaluation)
        train, test = training_part(loaders), loaders.evaluation[self.split]
        accuracies = linear_probe(model, train, test, sampling=self.sampling)
        return [Row(m, "linear_probe", v) for m, v in accuracies.items()]


@dataclass
class SharpnessProbe(_Probe):
    """Metric `sharpness_<measure>` per block; modality `"fused"` is all weights together.

    Args:
        every, samples, seed: as for `TraceProbe`.
        measure: keskar, sam, adaptive or average.
        blocks: which.
        options: of the measure, e.g. `{"rho": 0.1}`; a `"sampling"` among them is used instead of
            `samples` and `seed`.
    """

    measure: str = "sam"
    blocks: tuple[str, ...] = (ALL,)
    options: Mapping[str, Any] | None = None

    def __call__(self, model: nn.Module, epoch: int, loaders: Loaders) -> list[Row]:
        if self.measure not in SHARPNESS:
            raise unknown_name("sharpness measure", self.measure, SHARPNESS)
        # What the user gives overrides the probe's own samples.
        options: dict[str, Any] = {"sampling": self.sampling} | dict(self.options or {})
        out = []
        for b in self.blocks:
            args = (model, training_part(loaders), b)
            if self.measure == "keskar":
                value = keskar_sharpness(*args, progress=False, **options).value
            elif self.measure == "average":
                value = average_sharpness(*args, progress=False, **options).value
            else:
                adaptive = self.measure == "adaptive"
                value = ascent_sharpness(*args, adaptive=adaptive, **options).value
            out.append(Row(modality_of(b), f"sharpness_{self.measure}", value))
        return out


@dataclass
class _MeasureProbe:
    """What `as_probe` returns."""

    measure: Measure
    metric: str
    every: int

    def __call__(self, model: nn.Module, epoch: int, loaders: Loaders) -> list[Row]:
        measured = self.measure(model, training_part(loaders))
        return [Row(m, self.metric, float(v)) for m, v in measured.items()]


def as_probe(measure: Measure, metric: str, *, every: int = 1) -> _MeasureProbe:
    """Any function of (model, training samples) that returns {modality or block: number}, as a
    probe.

    >>> sizes = lambda model, data: {m: len(data) for m in model.modalities}
    >>> as_probe(sizes, "samples", every=5).every
    5
    """
    return _MeasureProbe(measure, metric, every)
