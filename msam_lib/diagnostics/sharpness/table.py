"""Every measure of sharpness for every block."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch import nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import all_blocks, label
from msam_lib.diagnostics._losses import Block
from msam_lib.diagnostics._samples import Data
from msam_lib.diagnostics.sharpness.ascent import ascent_sharpness
from msam_lib.diagnostics.sharpness.average import average_sharpness
from msam_lib.diagnostics.sharpness.keskar import keskar_sharpness


def sharpness_table(
    model: nn.Module,
    data: Data,
    blocks: Iterable[Block] | None = None,
    *,
    epsilon: float = 1e-3,
    rho: float = 0.05,
    adaptive_rho: float = 0.5,
    sigma: float = 0.01,
    draws: int = 20,
    progress: bool = True,
    **shared: Any,
) -> list[dict[str, object]]:
    """Every measure for every block: rows {block, measure, value, std_error, setting}.

    Args:
        model, data: as for `HessianOperator`; `shared` is loss, samples, batch_size, mode, seed.
        blocks: every block with parameters and "all", by default.
        epsilon: of `keskar`.
        rho: of `sam` (one step) and `sam_ascent` (ten).
        adaptive_rho: of `adaptive`.
        sigma, draws: of `average`.
        progress: show a bar where somebody watches.
    """
    if blocks is None:
        blocks = [*(b for b, names in all_blocks(model).items() if names), "all"]
    rows: list[dict[str, object]] = []
    for b in progress_bar(list(dict.fromkeys(blocks)), show=progress, desc="sharpness"):
        q = keskar_sharpness(model, data, b, epsilon=epsilon, progress=False, **shared)
        sam = ascent_sharpness(model, data, b, rho=rho, **shared)
        relative = ascent_sharpness(model, data, b, rho=adaptive_rho, adaptive=True, **shared)
        mean = average_sharpness(model, data, b, sigma=sigma, draws=draws, progress=False, **shared)
        found = [
            ("keskar", q.value, math.nan, f"epsilon={epsilon}, {q.convention}"),
            ("sam", sam.first_order, math.nan, f"rho={rho}"),
            ("sam_ascent", sam.value, math.nan, f"rho={rho}, {sam.steps} steps"),
            ("adaptive", relative.value, math.nan, f"rho={adaptive_rho}, {relative.steps} steps"),
            ("average", mean.value, mean.std_error, f"sigma={sigma}, {draws} pairs"),
        ]
        keys = ("measure", "value", "std_error", "setting")
        rows += [{"block": label(b)} | dict(zip(keys, f, strict=True)) for f in found]
    return rows
