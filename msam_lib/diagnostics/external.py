"""PyHessian and loss-landscapes as a second opinion, asked through adapters that avoid their
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
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib._utils.vectors import flat
from msam_lib.data.containers import Batch
from msam_lib.diagnostics._blocks import ALL, Block, Direction, as_direction, select
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling, collect
from msam_lib.diagnostics._session import differentiable_attention
from msam_lib.diagnostics._vectors import Layout, random_vector
from msam_lib.errors import MsamError


def _import(name: str, package: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MsamError(
            f"{package} is not installed ({error}). `pip install {package}`."
        ) from error


def _one_batch(caller: str, model: nn.Module, data: Data, sampling: Sampling) -> Batch:
    sampling.must_keep(caller, "mode", "loss")
    batches = collect(model, data, replace(sampling, batch_size=10**9))
    if len(batches) > 1:
        raise MsamError(f"{len(batches)} batches; the adapters take a data set or one batch.")
    return batches[0]


def _cross_entropy(out: Any, targets: Tensor) -> Tensor:
    """What the packages call with the model's answer: logits, or an `Output` that has them."""
    return F.cross_entropy(out if isinstance(out, Tensor) else out.logits, targets)


class PyHessian:
    """PyHessian's object for one block, with its gradients and its product, in evaluation mode.

    Args:
        model: copied.
        data: a data set or one batch.
        block: as everywhere here; the other parameters are frozen in the copy.
        sampling: which samples of a data set; they make one batch.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        block: Block = ALL,
        *,
        sampling: Sampling = ALL_SAMPLES,
    ) -> None:
        package = _import("pyhessian", "pyhessian")
        chosen = select(model, block)
        batch = _one_batch("PyHessian", model, data, sampling)
        self.model = copy.deepcopy(model).eval()
        for name, p in self.model.named_parameters():
            p.grad = None
            p.requires_grad_(name in chosen)
        self.layout = Layout(chosen)
        with warnings.catch_warnings(), differentiable_attention():
            # It warns of the reference cycle that is broken below.
            warnings.filterwarnings("ignore", message="Using backward.. with create_graph=True")
            self.hessian = package.hessian(
                self.model, _cross_entropy, data=(batch.inputs, batch.targets), cuda=False
            )
        # `backward(create_graph=True)` ties each parameter to its gradient's graph, which would
        # otherwise stay in memory.
        for p in self.model.parameters():
            p.grad = None
        h = self.hessian
        pairs = list(zip(h.params, h.gradsH, strict=True))
        # The product fails on parameters whose gradient is missing or constant.
        self.used = [isinstance(g, Tensor) and g.requires_grad for _, g in pairs]
        h.params = [p for (p, _), used in zip(pairs, self.used, strict=True) if used]
        h.gradsH = [g for (_, g), used in zip(pairs, self.used, strict=True) if used]

    def product(self, v: Tensor) -> Tensor:
        """H v (p,), by `pyhessian.utils.hessian_vector_product`."""
        utils = _import("pyhessian.utils", "pyhessian")
        parts = list(zip(self.layout.split(v), self.used, strict=True))
        given = [x for x, used in parts if used]
        products = utils.hessian_vector_product(self.hessian.gradsH, self.hessian.params, given)
        # PyHessian's answer has no entries for the parameters that the loss does not use.
        rest = iter(products)
        return flat([next(rest) if used else torch.zeros_like(x) for x, used in parts])

    def quadratic_forms(self, vectors: Sequence[Tensor]) -> np.ndarray:
        """zᵀHz for each vector: the terms of PyHessian's trace, without its stop rule."""
        return np.array([float(v @ self.product(v)) for v in vectors])

    def probe(self, number: int, *, seed: int = 0) -> Tensor:
        """The vector with this number of those that `hessian_trace(..., seed=seed)` uses."""
        like = next(self.model.parameters()).detach()
        return random_vector(self.layout.size, seed, number, like=like)

    def trace(self, *, probes: int = 30, seed: int = 0) -> np.ndarray:
        """The terms for the vectors that `hessian_trace(..., probes=probes, seed=seed)` uses."""
        return self.quadratic_forms([self.probe(k, seed=seed) for k in range(probes)])

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
    sampling: Sampling = ALL_SAMPLES,
) -> np.ndarray:
    """Losses (I, J) at θ + x·first + y·second, by loss-landscapes' parameters and metric, in
    evaluation mode.

    Args:
        model: copied.
        data: a data set or one batch.
        first, second: directions by parameter name.
        x, y: coordinates, evenly spaced along y (the package walks in equal steps).
        sampling: which samples of a data set; they make one batch.
    """
    return LossLandscapes(model, data, sampling=sampling).plane(first, second, x, y)


class LossLandscapes:
    """loss-landscapes' wrapper, metric and parameter arithmetic on a copy of the model."""

    def __init__(self, model: nn.Module, data: Data, *, sampling: Sampling = ALL_SAMPLES) -> None:
        wrapper = _import("loss_landscapes.model_interface.model_wrapper", "loss-landscapes")
        parameters = _import("loss_landscapes.model_interface.model_parameters", "loss-landscapes")
        metrics = _import("loss_landscapes.metrics.sl_metrics", "loss-landscapes")
        batch = _one_batch("LossLandscapes", model, data, sampling)
        self.model = copy.deepcopy(model).eval()
        self.names = [n for n, _ in self.model.named_parameters()]
        self.make = parameters.ModelParameters
        self.wrapped = wrapper.wrap_model(self.model)
        self.metric = metrics.Loss(_cross_entropy, batch.inputs, batch.targets)

    def plane(
        self, first: Direction, second: Direction, x: np.ndarray, y: np.ndarray
    ) -> np.ndarray:
        """Walks along each row with the package's in-place steps, from a start that is set anew for
        each row.
        """
        point = self.wrapped.get_module_parameters()
        base = [p.detach().clone() for p in point.parameters]
        rows = [self._parts(d, point.parameters) for d in (first, second)]
        # The package adds d₂ Δy for each next point of a row.
        step = self.make([float(y[1] - y[0]) * t for t in rows[1]])
        out = np.zeros((len(x), len(y)))
        for i, a in enumerate(x):
            # θ + x d₁ + y₀ d₂, so that rounding errors stay within one row.
            for p, b, u, v in zip(point.parameters, base, *rows, strict=True):
                p.copy_(b + float(a) * u + float(y[0]) * v)
            for j in range(len(y)):
                out[i, j] = self.metric(self.wrapped)
                point.add_(step)
        for p, b in zip(point.parameters, base, strict=True):
            p.copy_(b)
        return out

    def _parts(self, direction: Direction, like: Sequence[Tensor]) -> list[Tensor]:
        """The direction in the package's order of parameters, zero where it does not move."""
        named = as_direction(self.model, direction)
        return [named.get(n, torch.zeros_like(p)) for n, p in zip(self.names, like, strict=True)]
