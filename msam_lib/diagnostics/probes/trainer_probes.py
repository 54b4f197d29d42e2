"""Diagnostics during training: objects for `Trainer(probes=...)`, called as `probe(model, epoch,
loaders)`.

Each measures a fixed part of the training split every `every` epochs and returns rows that the
`Trainer` keeps with split `"probe"`. They draw from generators of their own: a run with probes
trains as one without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from msam_lib.data.containers import MultimodalDataset
from msam_lib.diagnostics.curvature.block_traces import block_traces
from msam_lib.diagnostics.probes.representations import (
    gradient_alignment,
    gradient_norms,
    linear_probe,
)
from msam_lib.diagnostics.sharpness.ascent import ascent_sharpness
from msam_lib.diagnostics.sharpness.average import average_sharpness
from msam_lib.diagnostics.sharpness.table import keskar_sharpness
from msam_lib.errors import MsamError, unknown_name
from msam_lib.training.evaluate import Row

SHARPNESS = ("keskar", "sam", "adaptive", "average")


def training_part(loaders: Any) -> MultimodalDataset:
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

    def __call__(self, model: nn.Module, epoch: int, loaders: Any) -> list[Row]:
        found = block_traces(
            model,
            training_part(loaders),
            probes=self.probes,
            samples=self.samples,
            seed=self.seed,
            mode=self.mode,
            progress=False,
        )
        out = []
        for b, e in found.items():
            name = "fused" if b == "total" else b
            out.append(Row(name, "hessian_trace", e.value))
            if not math.isnan(e.std_error):
                out.append(Row(name, "hessian_trace_se", e.std_error))
        return out


@dataclass
class AlignmentProbe(_Probe):
    """Metrics `gradient_cosine` (own against fused loss) per modality, and `gradient_norm` per
    block.
    """

    def __call__(self, model: nn.Module, epoch: int, loaders: Any) -> list[Row]:
        data = training_part(loaders)
        shared = {"samples": self.samples, "seed": self.seed}
        cosines = gradient_alignment(model, data, **shared)  # type: ignore[arg-type]
        norms = gradient_norms(model, data, **shared)  # type: ignore[arg-type]
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

    def __call__(self, model: nn.Module, epoch: int, loaders: Any) -> list[Row]:
        if self.split not in loaders.evaluation:
            raise unknown_name("split", self.split, loaders.evaluation)
        train, test = training_part(loaders), loaders.evaluation[self.split]
        found = linear_probe(model, train, test, samples=self.samples, seed=self.seed)
        return [Row(m, "linear_probe", v) for m, v in found.items()]


@dataclass
class SharpnessProbe(_Probe):
    """Metric `sharpness_<measure>` per block; modality `"fused"` is all weights together.

    Args:
        every, samples, seed: as for `TraceProbe`.
        measure: keskar, sam, adaptive or average.
        blocks: which.
        options: of the measure, e.g. `{"rho": 0.1}`.
    """

    measure: str = "sam"
    blocks: tuple[str, ...] = ("all",)
    options: Mapping[str, Any] | None = None

    def __call__(self, model: nn.Module, epoch: int, loaders: Any) -> list[Row]:
        if self.measure not in SHARPNESS:
            raise unknown_name("sharpness measure", self.measure, SHARPNESS)
        shared = dict(self.options or {}) | {"samples": self.samples, "seed": self.seed}
        out = []
        for b in self.blocks:
            args = (model, training_part(loaders), b)
            if self.measure == "keskar":
                value = keskar_sharpness(*args, progress=False, **shared).value
            elif self.measure == "average":
                value = average_sharpness(*args, progress=False, **shared).value
            else:
                adaptive = self.measure == "adaptive"
                value = ascent_sharpness(*args, adaptive=adaptive, **shared).value
            out.append(Row("fused" if b == "all" else b, f"sharpness_{self.measure}", value))
        return out


def as_probe(
    measure: Callable[[nn.Module, MultimodalDataset], Mapping[str, float]],
    metric: str,
    *,
    every: int = 1,
) -> Callable[[nn.Module, int, Any], Iterable[Row]]:
    """Any function of (model, training samples) that returns {modality or block: number}, as a
    probe.

    >>> sizes = lambda model, data: {m: len(data) for m in model.modalities}
    >>> as_probe(sizes, "samples", every=5).every
    5
    """

    def probe(model: nn.Module, epoch: int, loaders: Any) -> list[Row]:
        found = measure(model, training_part(loaders))
        return [Row(m, metric, float(v)) for m, v in found.items()]

    probe.every = every  # type: ignore[attr-defined]
    return probe
