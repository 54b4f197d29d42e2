"""Every measure of sharpness for every block."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import ALL, Block, filled_blocks, label
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
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
    sampling: Sampling = ALL_SAMPLES,
    progress: bool = True,
) -> list[dict[str, object]]:
    """Every measure for every block: rows {block, measure, value, std_error, setting}.

    Args:
        model, data: as for `HessianOperator`.
        blocks: every block with parameters and "all", by default.
        epsilon: of `keskar`.
        rho: of `sam` (one step) and `sam_ascent` (ten).
        adaptive_rho: of `adaptive`.
        sigma, draws: of `average`.
        sampling: as for `HessianOperator`; its seed is that of starting points and noise as well.
        progress: show a progress bar in a terminal or notebook.
    """
    chosen = [*filled_blocks(model), ALL] if blocks is None else blocks
    rows: list[dict[str, object]] = []
    for b in progress_bar(list(dict.fromkeys(chosen)), show=progress, desc="sharpness"):
        args = (model, data, b)
        q = keskar_sharpness(*args, epsilon=epsilon, sampling=sampling, progress=False)
        sam = ascent_sharpness(*args, rho=rho, sampling=sampling)
        relative = ascent_sharpness(*args, rho=adaptive_rho, adaptive=True, sampling=sampling)
        mean = average_sharpness(*args, sigma=sigma, draws=draws, sampling=sampling, progress=False)
        # Only the mean over draws has a sampling error.
        measured = [
            ("keskar", q.value, math.nan, f"epsilon={epsilon}, {q.convention}"),
            ("sam", sam.first_order, math.nan, f"rho={rho}"),
            ("sam_ascent", sam.value, math.nan, f"rho={rho}, {sam.steps} steps"),
            ("adaptive", relative.value, math.nan, f"rho={adaptive_rho}, {relative.steps} steps"),
            ("average", mean.value, mean.std_error, f"sigma={sigma}, {draws} pairs"),
        ]
        keys = ("measure", "value", "std_error", "setting")
        rows += [{"block": label(b)} | dict(zip(keys, m, strict=True)) for m in measured]
    return rows
