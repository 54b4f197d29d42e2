"""Keskar's sharpness Q(ε, A): how far the loss can rise in a small box around the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import ALL, Block, label
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics._vectors import random_vector
from msam_lib.diagnostics.sharpness._loss import DisplacedLoss
from msam_lib.errors import MsamError

MEMORY = 2**28  # numbers in A: 2 GiB in float64
CORNERS = 10  # at most so many steps from corner to corner after the L-BFGS-B runs


@dataclass(frozen=True)
class KeskarSharpness:
    """Q(ε, A) with everything that its value depends on.

    Args:
        block: which weights may move.
        value: Q, in percent of 1 + f.
        epsilon: relative size of the box.
        subspace: columns of A, or None for the full space.
        convention: how A was drawn.
        loss: f(x), in nats.
        maximum: the largest f(x + A z) that was seen.
        best_start: what led to it: `"random 0"`, ..., `"sign vertex"`, `"corners"`.
        starts, iterations: L-BFGS-B runs, and iterations of each.
        evaluations: of f.
        mode: of batch normalisation.
        seed: of A and the starting points.
    """

    block: str
    value: float
    epsilon: float
    subspace: int | None
    convention: str
    loss: float
    maximum: float
    best_start: str
    starts: int
    iterations: int
    evaluations: int
    mode: str
    seed: int


class _Box:
    """g(u) = f(x + A (b ∘ u)) over u in [-1, 1]^k; remembers the best point so far."""

    def __init__(self, surface: DisplacedLoss, epsilon: float, matrix: Tensor | None) -> None:
        self.surface, self.matrix = surface, matrix
        x = surface.origin
        inner = x if matrix is None else matrix.T @ x  # A⁺ = Aᵀ for orthonormal columns
        self.bound = epsilon * (inner.abs() + 1)  # ε (|A⁺x| + 1), (k,)
        self.best, self.point, self.start = surface.base, torch.zeros_like(self.bound), "origin"
        self.name = "origin"

    def __call__(self, u: Tensor) -> tuple[float, Tensor]:
        z = self.bound * u
        f, g = self.surface.value_and_gradient(z if self.matrix is None else self.matrix @ z)
        self.remember(f, u)
        # Chain rule: ∇_u g = b ∘ Aᵀ∇f.
        return f, self.bound * (g if self.matrix is None else self.matrix.T @ g)

    def remember(self, f: float, u: Tensor) -> None:
        if np.isfinite(f) and f > self.best:
            self.best, self.point, self.start = f, u.clone(), self.name


def keskar_sharpness(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    epsilon: float = 1e-3,
    subspace: int | None = None,
    starts: int = 3,
    iterations: int = 10,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    progress: bool = True,
) -> KeskarSharpness:
    """Q(ε, A) of Keskar et al., ICLR 2017, Metric 2.1, in percent.

        Q = 100 · (max_{z ∈ C_ε} f(x + A z) − f(x)) / (1 + f(x)),   C_ε = {z : |z_i| ≤ ε (|(A⁺x)_i|
        + 1)}.

    The paper leaves three things open, which are fixed here and kept with the result. A, when it is
    not the identity, is the orthonormal factor of an n × k Gaussian matrix, so A⁺ = Aᵀ (entries of
    N(0, 1) instead would make Q larger by about the factor n). L-BFGS-B starts from random points
    of the box, since at a minimum it would stay at the centre. The box's corner in the direction of
    the gradient's signs is tried as well, and from the best point so far the search continues from
    corner to corner as long as that pays. f is scaled for the optimizer so that its gradient is of
    the size of the box, and computed in float64.

    Args:
        model: not changed; a float64 copy is moved.
        data, sampling: as for `HessianOperator`.
        block: only these weights move; a block's Q is at most that of "all".
        epsilon: relative size of the box; the paper uses 1e-3 and 5e-4.
        subspace: columns k of A; None is the full space. The paper uses 100.
        starts: L-BFGS-B runs from random points.
        iterations: of each run.
        seed: of A and the starting points; None takes `sampling.seed`.
        progress: show a progress bar in a terminal or notebook.

    Raises:
        MsamError: epsilon ≤ 0, k larger than the block, or A too large for the memory.
    """
    if epsilon <= 0 or starts < 0 or iterations < 1:
        raise MsamError(
            f"epsilon={epsilon}, starts={starts}, iterations={iterations}; use epsilon > 0, "
            "starts >= 0 and iterations >= 1."
        )
    seed = sampling.seed if seed is None else seed
    surface = DisplacedLoss(model, data, block, sampling=sampling)
    box = _Box(surface, epsilon, _matrix(surface, subspace, seed))
    # The corner in the direction of the gradient's signs: exact for a linear f.
    box.name = "sign vertex"
    _, gradient = box(torch.zeros_like(box.bound))
    if bool(gradient.any()):
        box(gradient.sign())
    # Random starts, for at a minimum the centre has no gradient to follow.
    for k in progress_bar(range(starts), show=progress, desc="sharpness"):
        box.name = f"random {k}"
        _climb(box, k, iterations, seed)
    # From the best point so far on to corners, where a convex f is largest.
    box.name = "corners"
    _corners(box)
    f = surface.base
    return KeskarSharpness(
        block=label(block),
        value=100 * (box.best - f) / (1 + f),  # Metric 2.1
        epsilon=epsilon,
        subspace=subspace,
        convention="full space" if subspace is None else "orthonormal columns",
        loss=f,
        maximum=box.best,
        best_start=box.start,
        starts=starts,
        iterations=iterations,
        evaluations=surface.evaluations,
        mode=sampling.mode,
        seed=seed,
    )


def _matrix(surface: DisplacedLoss, columns: int | None, seed: int) -> Tensor | None:
    """A (p, k) with orthonormal columns; None where it is the identity."""
    if columns is None:
        return None
    n = surface.layout.size
    if not 1 <= columns <= n:
        raise MsamError(
            f"subspace={columns}; this block has {n} weights, so use 1 to {n}, or None."
        )
    if n * columns > MEMORY:
        raise MsamError(
            f"subspace={columns} of {n} weights needs {8 * n * columns / 2**30:.1f} GiB. Use "
            f"subspace={MEMORY // n} or fewer, a single block, or the full space (subspace=None)."
        )
    # Gaussian columns, in streams apart from those of the starting points.
    draw = [
        random_vector(n, seed, 10_000 + k, like=surface.origin, kind="gaussian")
        for k in range(columns)
    ]
    return torch.linalg.qr(torch.stack(draw, dim=1)).Q  # (p, k)


def _climb(box: _Box, number: int, iterations: int, seed: int) -> None:
    """One L-BFGS-B run on −g(u) / scale from a random point."""
    # Uniform over [-1, 1]^k, drawn on the CPU: the same start on every device.
    start = box.bound.new_empty(box.bound.shape)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + 777 + number)
    start.copy_(torch.rand(start.shape, generator=generator, dtype=start.dtype) * 2 - 1)
    _, gradient = box(start)
    # Gradients of about 1 suit L-BFGS-B's first step in a box of size 1.
    scale = float(gradient.abs().mean())
    if not np.isfinite(scale) or scale == 0:
        return  # f does not depend on these weights here

    def descent(u: np.ndarray) -> tuple[float, np.ndarray]:
        f, g = box(torch.from_numpy(u.copy()).to(start))
        return -(f - box.surface.base) / scale, -(g / scale).cpu().numpy()

    limits = [(-1.0, 1.0)] * len(start)
    # No tolerances: only the number of iterations limits a run.
    options = {"maxiter": iterations, "maxcor": 10, "ftol": 0.0, "gtol": 0.0}
    minimize(
        descent, start.cpu().numpy(), jac=True, method="L-BFGS-B", bounds=limits, options=options
    )


def _corners(box: _Box) -> None:
    """u ← sign(∇g(u)): where g is convex each step climbs (Frank–Wolfe), and it ends in a
    corner.
    """
    u = box.point
    for _ in range(CORNERS):
        _, gradient = box(u)
        # The maximum of the linearised g; coordinates without gradient stay.
        corner = torch.where(gradient == 0, u, gradient.sign())
        if torch.equal(corner, u):
            return
        before = box.best
        box(corner)
        if box.best <= before:
            return
        u = box.point
