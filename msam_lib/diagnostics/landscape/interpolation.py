"""The loss on the straight line between two checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from torch import Tensor, nn

from msam_lib.diagnostics._blocks import ALL
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics.landscape.directions import difference
from msam_lib.diagnostics.landscape.planes import Axis, Speed, coordinates, surface_over
from msam_lib.results.landscape import Landscape


def interpolate(
    model: nn.Module,
    other: nn.Module | Mapping[str, Tensor],
    data: Data,
    *,
    span: tuple[float, float] = (-0.25, 1.25),
    steps: int = 31,
    sampling: Sampling = ALL_SAMPLES,
    **options: Unpack[Speed],
) -> Landscape:
    """The line from one checkpoint (x = 0) to another (x = 1) (Goodfellow, Vinyals, Saxe, ICLR
    2015).

    Parameters and running statistics are interpolated, so both ends are exactly the two models in
    evaluation mode; in between the statistics fit neither, and a barrier may partly be theirs.
    `Sampling(mode="train")` uses each batch's own instead.

    Args:
        model, other: two models of one architecture, the second also as a state dict.
        data, sampling: see `surface_over`, and `options` too.
        span, steps: which points.
    """
    way = Axis(difference(model, other), coordinates(span, steps))
    meta = {"kind": "interpolation", "block": ALL}
    return surface_over(model, data, way, sampling=sampling, meta=meta, **options)
