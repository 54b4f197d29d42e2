"""The Hessian's spectrum: the largest eigenvalues, and the density of all of them.

Both run the Lanczos process, with every new vector orthogonalised twice against all earlier ones:
without it rounding makes copies of the large eigenvalues.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import ALL, Block, label
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics._vectors import Layout, random_vector
from msam_lib.diagnostics.curvature.hessian import HessianOperator
from msam_lib.errors import MsamError, unknown_name


@dataclass(frozen=True)
class Eigenpairs:
    """The extreme eigenvalues of a block's Hessian.

    Args:
        block: which.
        values: (k,), as ordered by `which`.
        vectors: (k, p), orthonormal.
        residuals: (k,) bounds on |λ − eigenvalue|, from the Lanczos process.
        converged: (k,) booleans, residual at most `tol` times the largest |λ|.
        iterations: products used.
        mode: of batch normalisation.
        seed: of the start vector.
        layout: turns a vector into {parameter name: tensor}: `pairs.direction(0)`.
    """

    block: str
    values: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    iterations: int
    mode: str
    seed: int
    vectors: Tensor = field(repr=False)
    layout: Layout = field(repr=False)

    def direction(self, k: int = 0) -> dict[str, Tensor]:
        """Eigenvector k (unit length) by parameter name."""
        return self.layout.named(self.vectors[k])


class _Lanczos:
    """H ≈ Q T Qᵀ with orthonormal columns in Q and a tridiagonal T, one column at a time."""

    def __init__(self, operator: HessianOperator, start: Tensor) -> None:
        self.operator = operator
        self.basis = [start / torch.linalg.vector_norm(start)]
        self.alpha: list[float] = []  # T's diagonal
        self.beta: list[float] = []  # beside it
        self.exhausted = False  # the Krylov space is invariant: T's eigenvalues are exact

    def step(self) -> None:
        """One product more: the next entries of T, and the next column of Q."""
        q = self.basis[-1]
        w = self.operator @ q  # (p,)
        self.alpha.append(float(q @ w))  # qᵀHq
        for _ in range(2):  # once leaves rounding errors of the size of the large eigenvalues
            for b in self.basis:
                w = w - (b @ w) * b
        norm = float(torch.linalg.vector_norm(w))
        scale = max([abs(a) for a in self.alpha] + self.beta)
        eps = torch.finfo(w.dtype).eps
        # Only rounding errors are left: the Krylov space is invariant.
        self.exhausted = norm <= 100 * eps * scale or len(self.basis) == self.operator.layout.size
        self.beta.append(norm)
        if not self.exhausted:
            self.basis.append(w / norm)

    def ritz(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (j,), ascending, and eigenvectors (j, j) of T."""
        off = self.beta[: len(self.alpha) - 1]
        return np.linalg.eigh(np.diag(self.alpha) + np.diag(off, 1) + np.diag(off, -1))


def top_eigenvalues(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    k: int = 2,
    which: str = "largest",
    iterations: int = 60,
    tol: float = 1e-3,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    dtype: torch.dtype | None = None,
    progress: bool = True,
) -> Eigenpairs:
    """The k extreme eigenvalues and eigenvectors of a block's Hessian, by Lanczos.

    Args:
        model, data, block, sampling, dtype: as for `HessianOperator`.
        k: how many.
        which: `"largest"`, `"smallest"` (most negative first) or `"magnitude"`.
        iterations: at most so many products.
        tol: stop when every residual is at most `tol` times the largest |λ|.
        seed: of the start vector; None takes `sampling.seed`.
        progress: show a progress bar in a terminal or notebook.

    Raises:
        MsamError: k is not between 1 and the block's size, or `which` is unknown.
    """
    orders = {"largest": lambda t: -t, "smallest": lambda t: t, "magnitude": lambda t: -np.abs(t)}
    if which not in orders:
        raise unknown_name("which", which, orders)
    seed = sampling.seed if seed is None else seed
    operator = HessianOperator(model, data, block, sampling=sampling, dtype=dtype)
    p = operator.layout.size
    if not 1 <= k <= p:
        raise MsamError(
            f"k={k}; the block {label(block)!r} has {p} eigenvalues, so k must be from 1 to {p}."
        )
    start = random_vector(p, seed, 0, like=operator.like, kind="gaussian")
    lanczos = _Lanczos(operator, start)
    with operator.held():
        for _ in progress_bar(range(max(iterations, k)), show=progress, desc="Lanczos"):
            lanczos.step()
            # Ritz values θ of T; the residual |β_j s_jk| bounds the error of θ_k.
            theta, s = lanczos.ritz()
            order = np.argsort(orders[which](theta), kind="stable")[:k]
            residuals = np.abs(lanczos.beta[-1] * s[-1, order])
            good = residuals <= tol * max(np.abs(theta).max(), 1e-300)
            if lanczos.exhausted or (len(order) == k and good.all()):
                break
    # In an invariant subspace the eigenvalues of T are eigenvalues of H.
    if lanczos.exhausted:
        residuals, good = np.zeros(len(order)), np.ones(len(order), bool)
    # An eigenvector of H is Q times one of T.
    products = len(lanczos.alpha)
    mix = torch.from_numpy(s[:, order]).to(operator.like)
    vectors = torch.stack(lanczos.basis[:products], dim=1) @ mix  # (p, k)
    return Eigenpairs(
        block=label(block),
        values=theta[order],
        residuals=residuals,
        converged=good,
        iterations=products,
        mode=sampling.mode,
        seed=seed,
        vectors=(vectors / torch.linalg.vector_norm(vectors, dim=0)).T,
        layout=operator.layout,
    )


@dataclass(frozen=True)
class SpectralDensity:
    """Stochastic Lanczos quadrature: each probe's nodes and weights; the weights of a probe sum to
    1.

    Args:
        block: which.
        nodes: (V, J) eigenvalues of the probes' tridiagonal matrices; NaN where a probe ended
            early.
        weights: (V, J).
        parameters: size of the block.
        mode: of batch normalisation.
        seed: of the vectors.
    """

    block: str
    nodes: np.ndarray
    weights: np.ndarray
    parameters: int
    mode: str
    seed: int

    def moment(self, order: int) -> float:
        """Estimate of tr(H^order) / p."""
        return float(np.nansum(self.weights * self.nodes**order, axis=1).mean())

    def density(
        self, grid: np.ndarray | None = None, width: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(grid, density): the nodes smoothed by Gaussians of standard deviation `width`.

        Args:
            grid: where; 500 points over all nodes by default.
            width: in units of the eigenvalues; 1 % of the range by default.
        """
        low, high = np.nanmin(self.nodes), np.nanmax(self.nodes)
        # A spectrum of a single point gets some width, too.
        span = max(high - low, 1e-12 + 1e-3 * abs(high))
        sd = 0.01 * span if width is None else width
        everywhere = np.linspace(low - 5 * sd, high + 5 * sd, 500)
        x = everywhere if grid is None else np.asarray(grid, float)
        z = (x[:, None, None] - self.nodes) / sd  # (X, V, J)
        bumps = np.exp(-(z**2) / 2) / (sd * np.sqrt(2 * np.pi))
        # Σ_j ω_j N(x; θ_j, sd²), averaged over the probes.
        return x, np.nansum(self.weights * bumps, axis=2).mean(axis=1)


def spectral_density(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    probes: int = 4,
    steps: int = 40,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    dtype: torch.dtype | None = None,
    progress: bool = True,
) -> SpectralDensity:
    """The density of all eigenvalues of a block's Hessian (Ghorbani, Krishnan, Xiao, ICML 2019,
    Algorithm 1).

    A Lanczos run of J steps from a random vector gives the J-point Gauss quadrature of the spectrum
    seen by that vector: nodes θ_j, weights the squared first components of T's eigenvectors.
    Moments up to 2J − 1 of that vector are exact, and the mean over random vectors is the density
    of the spectrum.

    Args:
        model, data, block, sampling, dtype: as for `HessianOperator`.
        probes: random vectors V.
        steps: Lanczos steps J (fewer where the block is smaller).
        seed: of the vectors; None takes `sampling.seed`.
        progress: show a progress bar in a terminal or notebook.
    """
    seed = sampling.seed if seed is None else seed
    operator = HessianOperator(model, data, block, sampling=sampling, dtype=dtype)
    p = operator.layout.size
    steps = min(steps, p)
    if probes < 1 or steps < 1:
        raise MsamError(f"probes={probes}, steps={steps}; both must be at least 1.")
    # A probe that ends early leaves NaN nodes of weight 0.
    nodes, weights = np.full((probes, steps), np.nan), np.zeros((probes, steps))
    with operator.held(), progress_bar(total=probes * steps, show=progress, desc="spectrum") as bar:
        for v in range(probes):
            lanczos = _Lanczos(operator, random_vector(p, seed, v, like=operator.like))
            while len(lanczos.alpha) < steps and not lanczos.exhausted:
                lanczos.step()
                bar.update()
            theta, s = lanczos.ritz()
            # Gauss quadrature: nodes θ_j, weights ω_j = (s_1j)².
            nodes[v, : len(theta)], weights[v, : len(theta)] = theta, s[0] ** 2
    return SpectralDensity(label(block), nodes, weights, p, sampling.mode, seed)
