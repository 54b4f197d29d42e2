"""Hessian-vector products for one block of a model, or between two blocks.

For f(θ) = mean loss over fixed samples, and blocks a and b of θ, H_ab = ∂²f / ∂θ_a ∂θ_b. A product
H_ab v is two backward passes (Pearlmutter, Neural Computation 1994): ∇_a ⟨∇_b f, v⟩. Its cost is
about 2.3 gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from msam_lib.diagnostics._batchnorm import Folded, head
from msam_lib.diagnostics._blocks import ALL, Block, all_blocks, select
from msam_lib.diagnostics._losses import finite, fused_loss
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling, collect, shares
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics._vectors import Layout, flat_gradient


class HessianOperator:
    """The matrix H_ab, available only through its products with vectors: `operator @ v`.

    Args:
        model: left exactly as it was.
        data: fixed samples: a data set, a loader, one batch, or a list of batches.
        block: b, the columns: a modality (its encoder), `"fusion"`, `"all"`, or a list of those.
        onto: a, the rows; the same as `block` by default.
        sampling: which samples, how many at a time (the products of the batches are averaged), the
            mode of batch normalisation, and the loss.
        dtype: e.g. `torch.float64` works on a copy in that precision; None on the model itself.

    Raises:
        MsamError: unknown or empty block, half precision, empty data, a vector of the wrong shape.
        NonFiniteLoss: the loss is NaN or infinite.

    The example's loss is (a₀² + 3 a₁²) / 2 + a₀ b₀, so its Hessian can be read off.

    >>> from msam_lib.data import Batch
    >>> bowl = nn.ParameterDict({"a": torch.zeros(2), "b": torch.zeros(1)})
    >>> f = lambda m, _: (m["a"] ** 2 @ torch.tensor([0.5, 1.5])) + m["a"][0] * m["b"][0]
    >>> h = HessianOperator(bowl, Batch({}, torch.zeros(1)), sampling=Sampling(loss=f))
    >>> (h @ torch.tensor([1.0, 1.0, 1.0])).tolist()
    [2.0, 3.0, 1.0]
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        block: Block = ALL,
        *,
        onto: Block | None = None,
        sampling: Sampling = ALL_SAMPLES,
        dtype: torch.dtype | None = None,
    ) -> None:
        # Names of the columns b and of the rows a.
        columns = select(model, block)
        rows = columns if onto is None else select(model, onto)
        self.blocks, self.sampling = all_blocks(model), sampling
        self.model = model if dtype is None else copy.deepcopy(model).to(dtype)
        named = dict(self.model.named_parameters())  # of the copy, where there is one
        self.columns, self.rows = [named[n] for n in columns], [named[n] for n in rows]
        self.layout, self.row_layout = Layout(columns), Layout(rows)
        self.loss = sampling.loss or fused_loss
        self.batches = collect(self.model, data, sampling, dtype=dtype)
        self.shares = shares(self.batches)
        self._called: Any = self.model  # what the loss calls: the model, or a folded form of it
        self._kept: list[Tensor | None] | None = None  # the gradient of the only batch
        self._holding = False

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.row_layout.size, self.layout.size

    @property
    def like(self) -> Tensor:
        """A tensor with the operator's device and precision."""
        return self.columns[0].detach()

    @contextmanager
    def held(self) -> Iterator[HessianOperator]:
        """Many products in a row: the model is prepared once, and the graph of a single batch is
        kept.

        The weights must not change inside.
        """
        if self._holding:
            yield self
            return
        chosen = [*self.columns, *self.rows]
        with session(self.model, mode=self.sampling.mode, parameters=chosen):
            self._holding = True
            # Folded, batch normalisation has no second derivative to pay for.
            if self.sampling.loss is None and self.sampling.mode == "eval":
                folded = Folded(self.model, head(self.batches[0]))
                self._called = folded if folded.agrees(head(self.batches[0])) else self.model
            try:
                yield self
            finally:
                self._holding, self._kept, self._called = False, None, self.model

    def _gradient(self, number: int) -> list[Tensor | None]:
        """∇_b of batch `number`, differentiable; None where it does not depend on the weights."""
        if self._kept is not None:
            return self._kept
        f = self.loss(self._called, self.batches[number])
        finite(f.detach())
        grads = torch.autograd.grad(f, self.columns, create_graph=True, allow_unused=True)
        # A gradient that is constant in the weights has no second derivative.
        out = [g if g is not None and g.requires_grad else None for g in grads]
        # The graph of a single batch serves all further products.
        if len(self.batches) == 1:
            self._kept = out
        return out

    def _product(self, gradient: Sequence[Tensor | None], v: Tensor) -> Tensor:
        """∇_a ⟨∇_b f, v⟩ (rows,) of the batch whose gradient this is."""
        pairs = [
            (g, x) for g, x in zip(gradient, self.layout.split(v), strict=True) if g is not None
        ]
        if not pairs:  # a loss that is linear in the block
            return torch.zeros(self.row_layout.size).to(self.like)
        grads, parts = zip(*pairs, strict=True)
        # The second backward pass: ∇_a ⟨∇_b f, v⟩.
        second = torch.autograd.grad(grads, self.rows, parts, retain_graph=True, allow_unused=True)
        return flat_gradient(second, self.rows)

    def batch_products(self, vectors: Sequence[Tensor]) -> Iterator[tuple[float, int, Tensor]]:
        """(share of the batch, number of the vector, product on that batch), each batch's graph
        built once.
        """
        with self.held():
            # Batches outside, vectors inside: only one graph at a time in memory.
            for number, share in enumerate(self.shares):
                gradient = self._gradient(number)
                for k, v in enumerate(vectors):
                    yield share, k, self._product(gradient, v)
                del gradient

    def products(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """H_ab v for each vector v (columns,): a list of (rows,)."""
        out = [torch.zeros(self.row_layout.size).to(self.like) for _ in vectors]
        for share, k, hv in self.batch_products(vectors):
            out[k].add_(hv, alpha=share)  # mean over the samples
        return out

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.products([v.to(self.like)])[0]

    def dense(self) -> Tensor:
        """The whole matrix (rows, columns); for small blocks only."""
        # Its columns are the products with the unit vectors.
        return torch.stack(self.products(list(torch.eye(self.layout.size).to(self.like))), dim=1)


def hvp(
    model: nn.Module,
    data: Data,
    v: Tensor,
    block: Block = ALL,
    *,
    onto: Block | None = None,
    sampling: Sampling = ALL_SAMPLES,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """One product H v (rows,); arguments as for `HessianOperator`."""
    return HessianOperator(model, data, block, onto=onto, sampling=sampling, dtype=dtype) @ v
