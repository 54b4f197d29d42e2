"""Loss landscapes: lines and planes through a model's weights.

Every function evaluates f(θ + x d₁ + y d₂), loss in nats and accuracy, on fixed samples, and
returns a `Landscape`. The model is never moved: a copy is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
from torch import nn

from msam_lib.diagnostics._blocks import ALL, Block, Direction, as_direction, label, select
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling, collect
from msam_lib.diagnostics.landscape._grid import Grid
from msam_lib.diagnostics.landscape.directions import eigen_directions, norm, random_direction
from msam_lib.errors import MsamError
from msam_lib.results.landscape import Landscape

Span = float | tuple[float, float]


class Speed(TypedDict, total=False):
    """Options of `surface_over` that change its cost, not its answer."""

    cache: bool
    fast: bool
    progress: bool


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a landscape.

    Args:
        direction: what a step of 1 adds to the weights, by parameter name.
        at: (I,) the coordinates at which the loss is evaluated.
    """

    direction: Direction
    at: np.ndarray


def coordinates(span: Span, steps: int) -> np.ndarray:
    """`steps` evenly spaced coordinates over [-span, span], or over the two ends given.

    >>> coordinates(1.0, 5).tolist()
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
    first: Axis,
    second: Axis | None = None,
    *,
    sampling: Sampling = ALL_SAMPLES,
    cache: bool = True,
    fast: bool = True,
    progress: bool = True,
    meta: Mapping[str, object] | None = None,
) -> Landscape:
    """Loss and accuracy at θ + x·first + y·second for all x and y; the other functions here call
    this one.

    Args:
        model: a `MultimodalModel`, or any module.
        data: as for `HessianOperator`.
        first, second: the axes; None for a line.
        sampling: as for `HessianOperator`. With a given loss there is no accuracy, and nothing can
            be reused.
        cache: run an encoder only as often as the directions move it.
        fast: fold batch normalisation (evaluation mode only) and use the channels-last layout,
            provided that the folded network gives the same logits (to 1e-4 of the largest).
        progress: show a progress bar in a terminal or notebook.
        meta: kept with the result.

    Raises:
        MsamError: a direction of the wrong shape, half precision, empty data.
        NonFiniteLoss: the loss of the model itself is not finite. (Far away from it, it may be.)
    """
    select(model, ALL)  # refuses half precision
    axes = [first] if second is None else [first, second]
    directions = [as_direction(model, a.direction) for a in axes]
    # A line is a plane whose second direction is empty.
    pair = directions[0], {} if second is None else directions[1]
    batches = collect(model, data, sampling, hold=True)
    grid = Grid(model, batches, pair, sampling=sampling, cache=cache, fast=fast)
    xs = np.asarray(first.at, float)
    ys = None if second is None else np.asarray(second.at, float)
    losses, accuracies = grid.run(xs, np.zeros(1) if ys is None else ys, progress=progress)
    if ys is None:
        losses, accuracies = losses[:, 0], accuracies[:, 0]  # (I,)
    # What the numbers depend on.
    record = {
        "mode": sampling.mode,
        "seed": sampling.seed,
        "samples": sum(len(b.targets) for b in batches),
        "folded": grid.folded,
        "cached": grid.cached,
        "lengths": [norm(d) for d in directions],
    }
    # Accuracy is that of logits; a given loss returns none.
    known = None if sampling.loss else accuracies
    return Landscape(xs, ys, losses, known, record | dict(meta or {}))


def line(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    direction: Direction | None = None,
    span: Span = 1.0,
    steps: int = 51,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    **options: Unpack[Speed],
) -> Landscape:
    """A line through the model along a filter-normalised random direction in `block`, or the one
    given.

    Args:
        model, data, sampling: see `surface_over`, and `options` too.
        block: where the random direction lies.
        direction: used instead of a random one.
        span: half length (or both ends); 1 moves each filter by its own length.
        steps: points.
        seed: of the direction; None takes `sampling.seed`.
    """
    meta: dict[str, object] = {"kind": "line", "block": label(block)}
    if direction is None:
        seed = sampling.seed if seed is None else seed
        direction = random_direction(model, block, seed=seed)
        meta["directions_seed"] = seed
    axis = Axis(direction, coordinates(span, steps))
    return surface_over(model, data, axis, sampling=sampling, meta=meta, **options)


def plane(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    other: Block | None = None,
    *,
    directions: tuple[Direction, Direction] | None = None,
    span: Span = 1.0,
    steps: int = 25,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    **options: Unpack[Speed],
) -> Landscape:
    """A plane through the model spanned by two filter-normalised random directions (Li et al.,
    NeurIPS 2018).

    Args:
        model, data, sampling: see `surface_over`, and `options` too.
        block: of the first direction, and of the second one too unless `other` is given.
            `plane(model, data, a, b)` with two modalities is the plane encoder a × encoder b, which
            costs 2 × `steps` encodings.
        other: of the second direction.
        directions: used instead of random ones.
        span: half length of both axes, or both ends; an odd number of `steps` has the model in its
            centre.
        steps: points per axis.
        seed: of the directions: 2·seed and 2·seed + 1; None takes `sampling.seed`. The same seed
            gives different methods the same Gaussian numbers.

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
    other = block if other is None else other
    meta: dict[str, object] = {"kind": "plane", "block": label(block), "other": label(other)}
    if directions is None:
        seed = sampling.seed if seed is None else seed
        directions = (
            # Two streams, so that both axes may lie in the same block.
            random_direction(model, block, seed=2 * seed),
            random_direction(model, other, seed=2 * seed + 1),
        )
        meta["directions_seed"] = seed
    first, second = (Axis(d, coordinates(span, steps)) for d in directions)
    return surface_over(model, data, first, second, sampling=sampling, meta=meta, **options)


def eigen_plane(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    span: Span = 0.5,
    steps: int = 25,
    iterations: int = 60,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    **options: Unpack[Speed],
) -> Landscape:
    """The plane of the block's two sharpest directions: near the centre f = f₀ + gradient + (λ₁ x²
    + λ₂ y²) / 2.

    Coordinates are lengths in weight space (the eigenvectors have length 1); `meta["eigenvalues"]`
    has the λ.

    Args:
        model, data, sampling: see `surface_over`, and `options` too.
        block: whose Hessian.
        span, steps: as for `plane`.
        iterations, seed: as for `top_eigenvalues`.
    """
    first, second, values = eigen_directions(
        model,
        data,
        block,
        iterations=iterations,
        seed=seed,
        sampling=sampling,
        progress=options.get("progress", True),
    )
    meta = {"kind": "eigen plane", "block": label(block), "eigenvalues": [float(v) for v in values]}
    at = coordinates(span, steps)
    axes = Axis(first, at), Axis(second, at)
    return surface_over(model, data, *axes, sampling=sampling, meta=meta, **options)
