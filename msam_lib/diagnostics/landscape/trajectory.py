"""The plane in which a training moved most."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Unpack

import numpy as np
from torch import Tensor, nn

from msam_lib.diagnostics._blocks import ALL, Block, label
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics.landscape.directions import pca_trajectory
from msam_lib.diagnostics.landscape.planes import Axis, Speed, surface_over
from msam_lib.results.landscape import Landscape


def trajectory_plane(
    model: nn.Module,
    data: Data,
    checkpoints: Sequence[Mapping[str, Tensor]],
    block: Block = ALL,
    *,
    steps: int = 25,
    margin: float = 0.15,
    sampling: Sampling = ALL_SAMPLES,
    **options: Unpack[Speed],
) -> Landscape:
    """The plane in which a training moved most, with its path; the origin is the last checkpoint.

    Args:
        model: gives the architecture; the last checkpoint's weights are used.
        data, sampling: see `surface_over`, and `options` too.
        checkpoints: state dicts in order, at least three.
        block: only these parameters make the path; all others stay at the last checkpoint's.
        steps: points per axis.
        margin: room around the path, as a share of its extent.
    """
    seen = pca_trajectory(model, checkpoints, block)
    # The origin is the last checkpoint, whatever the model's weights are now.
    last = copy.deepcopy(model)
    last.load_state_dict(dict(checkpoints[-1]))
    low, high = seen.path.min(0), seen.path.max(0)
    # A path without extent along an axis still needs an interval.
    room = margin * np.maximum(high - low, 1e-9)
    ends = zip((seen.first, seen.second), low - room, high + room, strict=True)
    first, second = (Axis(d, np.linspace(a, b, steps)) for d, a, b in ends)
    meta = {"kind": "trajectory", "block": label(block), "explained": seen.explained.tolist()}
    out = surface_over(last, data, first, second, sampling=sampling, meta=meta, **options)
    return Landscape(out.x, out.y, out.loss, out.accuracy, out.meta, seen.path)
