"""The plane in which a training moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from msam_lib.diagnostics._blocks import label
from msam_lib.diagnostics._losses import Block
from msam_lib.diagnostics._samples import Data
from msam_lib.diagnostics.landscape.directions import pca_trajectory
from msam_lib.diagnostics.landscape.planes import surface_over
from msam_lib.results.landscape import Landscape


def trajectory_plane(
    model: nn.Module,
    data: Data,
    checkpoints: Sequence[Mapping[str, Tensor]],
    block: Block = "all",
    *,
    steps: int = 25,
    margin: float = 0.15,
    **options: Any,
) -> Landscape:
    """The plane in which a training moved most, with its path; the origin is the last checkpoint.

    Args:
        model: gives the architecture; the last checkpoint's weights are used.
        data: see `surface_over`, and `options` too.
        checkpoints: state dicts in order, at least three.
        block: only these parameters make the path; all others stay at the last checkpoint's.
        steps: points per axis.
        margin: room around the path, as a share of its extent.
    """
    import copy

    found = pca_trajectory(model, checkpoints, block)
    last = copy.deepcopy(model)
    last.load_state_dict(dict(checkpoints[-1]))
    low, high = found.path.min(0), found.path.max(0)
    room = margin * np.maximum(high - low, 1e-9)
    axes = [np.linspace(a, b, steps) for a, b in zip(low - room, high + room, strict=True)]
    meta = {"kind": "trajectory", "block": label(block), "explained": found.explained.tolist()}
    out = surface_over(
        last, data, found.first, found.second, x=axes[0], y=axes[1], meta=meta, **options
    )
    return Landscape(out.x, out.y, out.loss, out.accuracy, out.meta, found.path)
