"""Loss landscapes: lines and planes through a model's weights.

Every function evaluates f(θ + x d₁ + y d₂), loss in nats and accuracy, on fixed samples, and
returns a `Landscape`. The model is never moved: a copy is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from msam_lib.diagnostics._blocks import as_direction, label, select
from msam_lib.diagnostics._losses import Block, Direction, Loss
from msam_lib.diagnostics._samples import Data, collect
from msam_lib.diagnostics._session import check_mode
from msam_lib.diagnostics.landscape._grid import Grid
from msam_lib.diagnostics.landscape.directions import eigen_directions, norm, random_direction
from msam_lib.errors import MsamError
from msam_lib.results.landscape import Landscape

Span = float | tuple[float, float]


def axis(span: Span, steps: int) -> np.ndarray:
    """`steps` evenly spaced coordinates over [-span, span], or over the two ends given.

    >>> axis(1.0, 5).tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    low, high = (-float(span), float(span)) if isinstance(span, (int, float)) else span
    if steps < 2 or not low < high:
        raise MsamError(
            f"span={span}, steps={steps}; use a positive span (or low < high) and at least 2 steps."
        )
    return np.linspace(low, high, steps)


def surface_over(
    model: nn.Module,
    data: Data,
    first: Direction,
    second: Direction | None = None,
    *,
    x: np.ndarray,
    y: np.ndarray | None = None,
    loss: Loss | None = None,
    samples: int | None = None,
    batch_size: int = 500,
    mode: str = "eval",
    cache: bool = True,
    fast: bool = True,
    seed: int = 0,
    progress: bool = True,
    meta: Mapping[str, object] | None = None,
) -> Landscape:
    """Loss and accuracy at θ + x·first + y·second for all x and y; the other functions here call
    this one.

    Args:
        model: a `MultimodalModel`, or any module.
        data: fixed samples; see `samples`, `batch_size`, `seed`.
        first, second: directions by parameter name; None for a line.
        x, y: coordinates (I,) and (J,).
        loss: `loss(model, batch)`, instead of the cross-entropy of the fused logits; there is no
            accuracy then, and nothing can be reused.
        samples, batch_size, seed: which samples, and how many at a time.
        mode: of batch normalisation, `"eval"` or `"train"`.
        cache: run an encoder only as often as the directions move it.
        fast: fold batch normalisation (evaluation mode only) and use the channels-last layout where
            the folded network is found to give the same logits (to 1e-4 of the largest).
        progress: show a bar where somebody watches.
        meta: kept with the result.

    Raises:
        MsamError: a direction of the wrong shape, half precision, empty data.
        NonFiniteLoss: the loss of the model itself is not finite. (Far away from it, it may be.)
    """
    if (second is None) != (y is None):
        raise MsamError("A plane needs both `second` and `y`; a line needs neither.")
    select(model, "all")
    directions = as_direction(model, first), as_direction(model, second or {})
    batches = collect(model, data, samples=samples, batch_size=batch_size, seed=seed)
    grid = Grid(
        model, batches, directions, loss=loss, mode=check_mode(mode), cache=cache, fast=fast
    )
    xs, ys = np.asarray(x, float), np.zeros(1) if y is None else np.asarray(y, float)
    losses, accuracies = grid.run(xs, ys, progress=progress)
    if y is None:
        losses, accuracies = losses[:, 0], accuracies[:, 0]
    record = {
        "mode": mode,
        "seed": seed,
        "samples": sum(len(b.targets) for b in batches),
        "folded": grid.folded,
        "cached": grid.cached,
        "lengths": [norm(d) for d in directions[: 1 if y is None else 2]],
    }
    return Landscape(
        xs,
        None if y is None else ys,
        losses,
        None if loss else accuracies,
        record | dict(meta or {}),
    )


def line(
    model: nn.Module,
    data: Data,
    block: Block = "all",
    *,
    direction: Direction | None = None,
    span: Span = 1.0,
    steps: int = 51,
    seed: int = 0,
    **options: Any,
) -> Landscape:
    """A line through the model along a filter-normalised random direction in `block`, or the one
    given.

    Args:
        model, data: see `surface_over`, and `options` too.
        block: where the random direction lies.
        direction: used instead of a random one.
        span: half length (or both ends); 1 moves each filter by its own length.
        steps: points.
        seed: of the direction.
    """
    if direction is None:
        direction = random_direction(model, block, seed=seed)
    meta = {"kind": "line", "block": label(block)}
    return surface_over(
        model, data, direction, x=axis(span, steps), seed=seed, meta=meta, **options
    )


def plane(
    model: nn.Module,
    data: Data,
    block: Block = "all",
    other: Block | None = None,
    *,
    directions: tuple[Direction, Direction] | None = None,
    span: Span = 1.0,
    steps: int = 25,
    seed: int = 0,
    **options: Any,
) -> Landscape:
    """A plane through the model spanned by two filter-normalised random directions (Li et al.,
    NeurIPS 2018).

    Args:
        model, data: see `surface_over`, and `options` too.
        block: of the first direction, and of the second one too unless `other` is given.
            `plane(model, data, a, b)` with two modalities is the plane encoder a × encoder b, which
            costs 2 × `steps` encodings.
        other: of the second direction.
        directions: used instead of random ones.
        span: half length of both axes, or both ends; an odd number of `steps` has the model in its
            centre.
        steps: points per axis.
        seed: of the directions: 2·seed and 2·seed + 1. The same seed gives different methods the
            same Gaussians.

    >>> import torch
    >>> from msam_lib.data import Batch, Modality
    >>> from msam_lib.models import build_model
    >>> _ = torch.manual_seed(0)
    >>> specs = {"x1": Modality("vector", (5,)), "x2": Modality("vector", (3,))}
    >>> model = build_model(specs, classes=2)
    >>> batch = Batch({"x1": torch.randn(8, 5), "x2": torch.randn(8, 3)}, torch.arange(8) % 2)
    >>> plane(model, batch, "x1", "x2", steps=5).loss.shape
    (5, 5)
    """
    if directions is None:
        directions = (
            random_direction(model, block, seed=2 * seed),
            random_direction(model, block if other is None else other, seed=2 * seed + 1),
        )
    meta = {
        "kind": "plane",
        "block": label(block),
        "other": label(block if other is None else other),
    }
    grid = axis(span, steps)
    return surface_over(
        model, data, directions[0], directions[1], x=grid, y=grid, seed=seed, meta=meta, **options
    )


def eigen_plane(
    model: nn.Module,
    data: Data,
    block: Block = "all",
    *,
    span: Span = 0.5,
    steps: int = 25,
    seed: int = 0,
    iterations: int = 60,
    samples: int | None = None,
    batch_size: int = 500,
    mode: str = "eval",
    **options: Any,
) -> Landscape:
    """The plane of the block's two sharpest directions: near the centre f = f₀ + gradient + (λ₁ x²
    + λ₂ y²) / 2.

    Coordinates are lengths in weight space (the eigenvectors have length 1); `meta["eigenvalues"]`
    has the λ. Options as for `surface_over` and, for `iterations`, `top_eigenvalues`.
    """
    shared = {"samples": samples, "batch_size": batch_size, "mode": mode, "seed": seed}
    loss = {"loss": options["loss"]} if "loss" in options else {}
    first, second, values = eigen_directions(
        model, data, block, iterations=iterations, **shared, **loss
    )
    meta = {"kind": "eigen plane", "block": label(block), "eigenvalues": [float(v) for v in values]}
    grid = axis(span, steps)
    return surface_over(model, data, first, second, x=grid, y=grid, meta=meta, **shared, **options)
