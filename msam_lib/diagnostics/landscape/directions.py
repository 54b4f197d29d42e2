"""Directions in weight space: filter-normalised Gaussian ones, eigenvectors, differences, principal
components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from msam_lib._utils.vectors import flat
from msam_lib.diagnostics._blocks import ALL, Block, Direction, as_direction, select
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics._vectors import Layout, random_vector
from msam_lib.diagnostics.curvature.spectrum import top_eigenvalues
from msam_lib.errors import MsamError, unknown_name

NORMALISATIONS = ("filter", "layer", "none")


def random_direction(
    model: nn.Module,
    block: Block = ALL,
    *,
    seed: int = 0,
    normalise: str = "filter",
    vectors: str = "zero",
) -> Direction:
    """A Gaussian direction inside a block, scaled filter by filter to the weights (Li et al.,
    NeurIPS 2018, sec. 4).

    d_{i,j} ← d_{i,j} / ‖d_{i,j}‖ · ‖w_{i,j}‖ for filter j of layer i (a row of a linear layer, an
    output channel of a convolution), so that a step of 1 is as long as the weights themselves,
    whatever their scale.

    Args:
        model: gives shapes and scales; it is not changed.
        block: the direction is confined to it.
        seed: of the Gaussian numbers. Each parameter has a separate random stream (by its place in
            the model), so a block's direction is the same alone and as part of "all".
        normalise: `"filter"`, `"layer"` (one norm per parameter tensor) or `"none"`.
        vectors: biases and normalisation parameters: `"zero"` leaves them (the authors' option
            `--xignore biasbn`); `"norm"` scales each such vector to its own norm.

    Raises:
        MsamError: an unknown normalisation, or a block without parameters.
    """
    if normalise not in NORMALISATIONS:
        raise unknown_name("normalisation", normalise, NORMALISATIONS)
    if vectors not in ("zero", "norm"):
        raise unknown_name("vectors", vectors, ("zero", "norm"))
    chosen = select(model, block)
    out = {}
    for place, (name, p) in enumerate(model.named_parameters()):
        if name not in chosen or (p.dim() < 2 and vectors == "zero"):
            continue
        # The stream belongs to the place in the model, not to the block.
        d = random_vector(p.numel(), seed, place, like=p.detach(), kind="gaussian").view_as(p)
        out[name] = d if normalise == "none" else _scaled(d, p.detach(), normalise)
    if not out:
        raise MsamError(
            f"block={block!r} has only biases and other vectors; use vectors='norm' to move them."
        )
    return out


def _scaled(d: Tensor, w: Tensor, normalise: str) -> Tensor:
    """d with the norm of w, filter by filter or in all."""
    if normalise == "layer" or w.dim() < 2:
        return d * (torch.linalg.vector_norm(w) / (torch.linalg.vector_norm(d) + 1e-10))
    # Flat rows: `Tensor.norm` refuses more than two dimensions in recent torch.
    wanted, given = (torch.linalg.vector_norm(t.flatten(1), dim=1) for t in (w, d))
    return d * (wanted / (given + 1e-10)).view(-1, *[1] * (w.dim() - 1))  # d / ‖d‖ · ‖w‖


def orthogonal_to(direction: Direction, other: Direction) -> Direction:
    """`direction` without its part along `other`."""
    dot, square = inner(direction, other), inner(other, other)
    if square == 0:
        raise MsamError("The other direction is zero: nothing can be orthogonal to it.")
    # d − ⟨d, o⟩ / ⟨o, o⟩ · o, over the names of both.
    return {
        n: d - (dot / square) * other[n] if n in other else d.clone() for n, d in direction.items()
    } | {n: -(dot / square) * o for n, o in other.items() if n not in direction}


def inner(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """⟨a, b⟩; a name missing on either side counts as zero."""
    return sum(float((a[n].detach().double() * b[n].detach().double()).sum()) for n in a if n in b)


def norm(direction: Mapping[str, Tensor]) -> float:
    """The Euclidean length."""
    return inner(direction, direction) ** 0.5


def difference(model: nn.Module, other: nn.Module | Mapping[str, Tensor]) -> Direction:
    """From `model` to another checkpoint of it: parameters and running statistics, so that 1 is the
    other model.

    Args:
        model: the origin.
        other: a model of the same architecture, or its state dict.

    Raises:
        MsamError: names or shapes differ.
    """
    mine = {n: t for n, t in model.state_dict().items() if t.is_floating_point()}
    theirs = other.state_dict() if isinstance(other, nn.Module) else other
    missing = sorted(set(mine) - set(theirs))
    if missing:
        more = " and more" if len(missing) > 3 else ""
        raise MsamError(
            f"The other checkpoint lacks {missing[:3]}{more}: both have to be the same "
            "architecture."
        )
    target = as_direction(model, {n: theirs[n] for n in mine})
    # Equal tensors are left out: an encoder that does not move is run once.
    return {n: target[n] - t for n, t in mine.items() if not torch.equal(target[n], t)}


def eigen_directions(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    iterations: int = 60,
    tol: float = 1e-3,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    progress: bool = True,
) -> tuple[Direction, Direction, np.ndarray]:
    """The eigenvectors of a block's two largest Hessian eigenvalues (unit length), and those
    eigenvalues (2,).

    Arguments as for `top_eigenvalues`.
    """
    pairs = top_eigenvalues(
        model,
        data,
        block,
        k=2,
        iterations=iterations,
        tol=tol,
        seed=seed,
        sampling=sampling,
        progress=progress,
    )
    return pairs.direction(0), pairs.direction(1), pairs.values


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A training seen in its two principal directions.

    Args:
        first, second: orthonormal directions.
        path: (T, 2) coordinates of the checkpoints; the last one is the origin.
        explained: (2,) share of the checkpoints' variance along each.
    """

    first: Direction
    second: Direction
    path: np.ndarray
    explained: np.ndarray


def pca_trajectory(
    model: nn.Module, checkpoints: Sequence[Mapping[str, Tensor]], block: Block = ALL
) -> Trajectory:
    """Principal components of the matrix [θ_0 − θ_T, ..., θ_{T−1} − θ_T] (Li et al., NeurIPS 2018,
    section 7.2).

    Args:
        model: an instance of the architecture, for names and shapes.
        checkpoints: state dicts in order of training, at least three.
        block: only these parameters; running statistics are left out.

    Raises:
        MsamError: fewer than three checkpoints, or checkpoints of another architecture.
    """
    if len(checkpoints) < 3:
        raise MsamError(f"{len(checkpoints)} checkpoints were given; a plane needs at least 3.")
    names = list(select(model, block))
    states = [as_direction(model, {n: c[n] for n in names if n in c}) for c in checkpoints]
    for t, s in enumerate(states):
        if len(s) != len(names):
            raise MsamError(f"Checkpoint {t} lacks {sorted(set(names) - set(s))[:3]}.")
    last = states[-1]
    # θ_t − θ_T in double precision, for late checkpoints lie close together.
    rows = [flat([(s[n] - last[n]).double().cpu() for n in names]) for s in states]
    matrix = torch.stack(rows)  # (T, p); the last row is zero
    # The Gram matrix is T x T: cheaper than an SVD of T x p, and the same right vectors.
    values, vectors = torch.linalg.eigh(matrix @ matrix.T)  # (T,), (T, T)
    # Largest first; rounding can make a zero eigenvalue negative.
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    if values[1] <= 1e-12 * values[0]:
        raise MsamError(
            "All checkpoints lie on one line: they span no plane. Use `interpolate` instead."
        )
    # Right singular vectors: v = Mᵀu / σ.
    basis = (matrix.T @ vectors[:, :2]) / values[:2].sqrt()  # (p, 2)
    layout = Layout({n: last[n] for n in names})
    first, second = ({n: t.to(last[n]) for n, t in layout.named(b).items()} for b in basis.T)
    explained = (values[:2] / values.sum()).numpy()
    return Trajectory(first, second, (matrix @ basis).numpy(), explained)
