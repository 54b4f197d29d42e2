"""PyHessian and loss-landscapes as a second opinion, asked through adapters that go round their
defects.

Nothing in this package depends on what they return; tests, benchmarks and two notebooks compare.
Both are imported when first called. (PyHessian 0.1 is MIT by its metadata, GPLv3 or later by its
file headers.)

What the adapters avoid:

* PyHessian takes the first point at which its running mean moves little for convergence, and always
  for a negative trace; a second object built on the same model doubles every answer, because
  `.grad` is not zeroed; the model stays in evaluation mode; a parameter that the loss does not use
  raises. So: fixed probe vectors, a deep copy without gradients, unused parameters left out.
* loss-landscapes shifts every other row of its planes by one step, never evaluates the centre when
  `steps` is odd, inverts `distance`, draws directions from [0, 1), and moves and freezes the
  caller's model. So: explicit offsets along our directions, on a deep copy.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib.data.containers import Batch
from msam_lib.diagnostics._blocks import as_direction, select
from msam_lib.diagnostics._losses import Block, Direction
from msam_lib.diagnostics._samples import Data, collect
from msam_lib.diagnostics._session import differentiable_attention
from msam_lib.diagnostics._vectors import Layout, random_vector
from msam_lib.errors import MsamError


def _import(name: str, package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise MsamError(
            f"{package} is not installed ({error}). `pip install {package}`."
        ) from error


def _one_batch(model: nn.Module, data: Data, samples: int | None, seed: int) -> Batch:
    batches = collect(model, data, samples=samples, batch_size=10**9, seed=seed)
    if len(batches) > 1:
        raise MsamError(f"{len(batches)} batches; the adapters take a data set or one batch.")
    return batches[0]


class PyHessian:
    """PyHessian's object for one block: its own gradients and its own product, in evaluation mode.

    Args:
        model: copied.
        data: a data set or one batch.
        block: as everywhere here; the other parameters are frozen in the copy.
        samples, seed: as for `HessianOperator`.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        block: Block = "all",
        *,
        samples: int | None = None,
        seed: int = 0,
    ) -> None:
        package = _import("pyhessian", "pyhessian")
        chosen = select(model, block)
        batch = _one_batch(model, data, samples, seed)
        self.model = copy.deepcopy(model).eval()
        for name, p in self.model.named_parameters():
            p.grad = None
            p.requires_grad_(name in chosen)
        self.layout = Layout(chosen)
        loss = lambda out, y: F.cross_entropy(out if isinstance(out, Tensor) else out.logits, y)  # noqa: E731
        with warnings.catch_warnings(), differentiable_attention():
            # It warns of the reference cycle that is broken below.
            warnings.filterwarnings("ignore", message="Using backward.. with create_graph=True")
            self.hessian = package.hessian(
                self.model, loss, data=(batch.inputs, batch.targets), cuda=False
            )
        # `backward(create_graph=True)` ties each parameter to its gradient's graph; without this it
        # never goes.
        for p in self.model.parameters():
            p.grad = None
        pairs = zip(self.hessian.params, self.hessian.gradsH, strict=True)
        used = [isinstance(g, Tensor) and g.requires_grad for _, g in pairs]
        self.used = used
        self.hessian.params = [p for p, u in zip(self.hessian.params, used, strict=True) if u]
        self.hessian.gradsH = [g for g, u in zip(self.hessian.gradsH, used, strict=True) if u]

    def product(self, v: Tensor) -> Tensor:
        """H v (p,), by `pyhessian.utils.hessian_vector_product`."""
        utils = _import("pyhessian.utils", "pyhessian")
        parts = [x for x, u in zip(self.layout.split(v), self.used, strict=True) if u]
        found = iter(utils.hessian_vector_product(self.hessian.gradsH, self.hessian.params, parts))
        whole = zip(self.layout.split(v), self.used, strict=True)
        return torch.cat(
            [(next(found) if u else torch.zeros_like(x)).reshape(-1) for x, u in whole]
        )

    def quadratic_forms(self, vectors: Sequence[Tensor]) -> np.ndarray:
        """zᵀHz for each vector: the terms of PyHessian's trace, without its stop rule."""
        return np.array([float(v @ self.product(v)) for v in vectors])

    def trace(self, *, probes: int = 30, seed: int = 0) -> np.ndarray:
        """The terms for the probe vectors that `hessian_trace(..., probes=probes, seed=seed)`
        uses.
        """
        like = next(self.model.parameters()).detach()
        return self.quadratic_forms(
            [random_vector(self.layout.size, seed, k, like=like) for k in range(probes)]
        )

    def eigenvalues(self, k: int = 1, *, iterations: int = 200, tol: float = 1e-5) -> np.ndarray:
        """PyHessian's power iteration: the k eigenvalues of largest magnitude. Uses torch's global
        generator.
        """
        values, _ = self.hessian.eigenvalues(maxIter=iterations, tol=tol, top_n=k)
        return np.array(values)


def loss_landscapes_plane(
    model: nn.Module,
    data: Data,
    first: Direction,
    second: Direction,
    x: np.ndarray,
    y: np.ndarray,
    *,
    samples: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Losses (I, J) at θ + x·first + y·second, by loss-landscapes' parameters and metric, in
    evaluation mode.

    Args:
        model: copied.
        data: a data set or one batch.
        first, second: directions by parameter name.
        x, y: coordinates, evenly spaced along y (the package walks in equal steps).
        samples, seed: as for `surface_over`.
    """
    walker = LossLandscapes(model, data, samples=samples, seed=seed)
    return walker.plane(first, second, x, y)


class LossLandscapes:
    """loss-landscapes' own wrapper, metric and parameter arithmetic on a copy of the model."""

    def __init__(
        self, model: nn.Module, data: Data, *, samples: int | None = None, seed: int = 0
    ) -> None:
        wrapper = _import("loss_landscapes.model_interface.model_wrapper", "loss-landscapes")
        parameters = _import("loss_landscapes.model_interface.model_parameters", "loss-landscapes")
        metrics = _import("loss_landscapes.metrics.sl_metrics", "loss-landscapes")
        batch = _one_batch(model, data, samples, seed)
        self.model = copy.deepcopy(model).eval()
        self.names = [n for n, _ in self.model.named_parameters()]
        self.make = parameters.ModelParameters
        self.wrapped = wrapper.wrap_model(self.model)
        loss = lambda out, y: F.cross_entropy(out if isinstance(out, Tensor) else out.logits, y)  # noqa: E731
        self.metric = metrics.Loss(loss, batch.inputs, batch.targets)

    def plane(
        self, first: Direction, second: Direction, x: np.ndarray, y: np.ndarray
    ) -> np.ndarray:
        """Walks along each row with the package's in-place steps, from a start that is set anew for
        each row.
        """
        point = self.wrapped.get_module_parameters()
        base = [p.detach().clone() for p in point.parameters]
        rows = [self._parts(d, point.parameters) for d in (first, second)]
        step = self.make([float(y[1] - y[0]) * t for t in rows[1]])
        out = np.zeros((len(x), len(y)))
        for i, a in enumerate(x):
            for p, b, u, v in zip(point.parameters, base, *rows, strict=True):
                p.copy_(b + float(a) * u + float(y[0]) * v)
            for j in range(len(y)):
                out[i, j] = self.metric(self.wrapped)
                point.add_(step)
        for p, b in zip(point.parameters, base, strict=True):
            p.copy_(b)
        return out

    def _parts(self, direction: Direction, like: Sequence[Tensor]) -> list[Tensor]:
        own = as_direction(self.model, direction)
        return [own.get(n, torch.zeros_like(p)) for n, p in zip(self.names, like, strict=True)]
