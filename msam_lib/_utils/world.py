"""Training on several ranks: the processes that `torchrun` starts, each with a part of every batch.

The batch of a step is what all ranks have together, one part after the other in the order of the
ranks; parts may differ in size. Inside `world.batch` gradients and statistics of the batch are
means over all its samples, so that the weights stay equal on all ranks, and equal to those of one
process with the whole batch up to rounding. Outside of it (the hooks between epochs, evaluation)
nothing is reduced: there every rank computes the same on all data.

Exceptions. Batch normalisation in training mode takes the statistics of the rank's part ("ghost"
batch norm), and its running statistics are the first rank's after each epoch of the `Trainer`; a
model without batch norm is exact. Dropout is drawn by each rank for its own samples.

In a process that is alone every function here returns at once what it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakSet

import torch
from torch import Tensor, nn

from msam_lib._utils._streams import Streams
from msam_lib._utils._wire import all_reduced, barrier, broadcast, from_first, number, ranks
from msam_lib.errors import MsamError

Value = TypeVar("Value")


@dataclass
class Part:
    """This rank's part of the step's batch.

    Args:
        share: of the batch's samples, between 0 and 1.
        start: the number of its first sample among them.
        total: samples of the whole batch.
        local: the first pass of a two-pass method follows the rank's own gradient.
        streams: of random numbers.
        parameters: returns all that is trained, in the same order on every rank.
    """

    share: float
    start: int
    total: int
    local: bool
    streams: Streams
    parameters: Callable[[], Sequence[Tensor]]


class World:
    """All ranks, as one of them sees them; `world` is the only instance."""

    def __init__(self) -> None:
        self.part: Part | None = None  # None: outside of a step, or alone
        self._met: WeakSet[nn.Module] = WeakSet()

    @property
    def size(self) -> int:
        """How many ranks there are; 1 without torch.distributed."""
        return ranks()

    @property
    def rank(self) -> int:
        """This one's number."""
        return number() if self.size > 1 else 0

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and shows progress."""
        return self.rank == 0

    @property
    def local(self) -> bool:
        """Whether the first pass of a two-pass method follows the rank's own gradient."""
        return self.part is not None and self.part.local

    @property
    def share(self) -> float:
        """The part of the batch's samples that this rank has."""
        return 1.0 if self.part is None else self.part.share

    @contextmanager
    def batch(
        self,
        samples: int,
        device: torch.device,
        parameters: Callable[[], Sequence[Tensor]],
        *,
        local: bool = False,
    ) -> Iterator[None]:
        """A step on a batch of which this rank has so many samples; see `Part`."""
        if self.size == 1 or self.part is not None:
            yield
            return
        counts = torch.zeros(self.size, dtype=torch.long, device=device)
        counts[self.rank] = samples
        sizes: list[int] = all_reduced(counts).tolist()
        total, start = sum(sizes), sum(sizes[: self.rank]) if samples else 0
        if total == 0:
            raise MsamError("No rank has a sample of this batch; a step needs at least one.")
        streams = Streams(device, self.rank)
        self.part = Part(samples / total, start, total, local, streams, parameters)
        try:
            yield
        finally:
            self.part = None
            streams.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within a step: what every rank computes on all data, with the same random numbers."""
        part, self.part = self.part, None
        try:
            with nullcontext() if part is None else part.streams.shared():
                yield
        finally:
            self.part = part

    # Statistics of the batch.

    def count(self, samples: int) -> int:
        """The number of samples of the whole batch; this rank has `samples`."""
        return samples if self.part is None else self.part.total

    def sum(self, x: Tensor) -> Tensor:
        """The sum over ranks of a sum over samples, exact for whole numbers; without gradient."""
        if self.part is None:
            return x
        return all_reduced(x.detach() if self.part.share else torch.zeros_like(x))

    def mean(self, x: Tensor) -> Tensor:
        """The mean over all samples from this rank's mean over its own; without gradient."""
        return x if self.part is None else self.means([x])[0]

    def means(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """`mean` of several tensors, in one reduction for each type of number."""
        if self.part is None or not tensors:
            return list(tensors)
        out: list[Tensor] = [t.detach() for t in tensors]
        for dtype in dict.fromkeys(t.dtype for t in tensors):
            at = [i for i, t in enumerate(out) if t.dtype == dtype]
            flat = torch.cat([out[i].reshape(-1) for i in at]) * self.part.share
            parts = all_reduced(flat).split([out[i].numel() for i in at])
            for i, new in zip(at, parts, strict=True):
                out[i] = new.view(out[i].shape)
        return out

    def total(self, x: Tensor) -> Tensor:
        """The sum over ranks, for a loss that is a function of it.

        `backward` averages gradients over ranks with their shares as weights; so that this gives
        the gradient of the whole sum, each rank's own part enters divided by its share.
        """
        if self.part is None:
            return x
        whole = self.sum(x)
        own = x / self.part.share if self.part.share else 0 * x
        return whole + (own - own.detach())

    def reduce_gradients(self) -> None:
        """Every `.grad` becomes its mean over all samples; zero counts where one rank has none."""
        if self.part is None:
            return
        parameters = self.part.parameters()
        some = parameters[0]
        there = [float(p.grad is not None) for p in parameters]
        found = all_reduced(torch.tensor(there, device=some.device)).tolist()
        having = [p for p, n in zip(parameters, found, strict=True) if n]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in having]
        for p, g in zip(having, self.means(grads), strict=True):
            p.grad = g

    # Random numbers.

    def together(self) -> AbstractContextManager[None]:
        """Inside, random numbers are the same on every rank."""
        return nullcontext() if self.part is None else self.part.streams.shared()

    def rand(self, *shape: int, device: torch.device, rows: int = 0) -> Tensor:
        """Uniform random numbers, drawn for the whole batch: this rank's own.

        Args:
            *shape: of what is returned.
            device: where it is.
            rows: the dimension that counts samples.
        """
        if self.part is None:
            return torch.rand(*shape, device=device)
        whole = [self.part.total if i == rows else n for i, n in enumerate(shape)]
        with self.together():
            drawn = torch.rand(*whole, device=device)
        return drawn.narrow(rows, self.part.start, shape[rows])

    # What all ranks have to have in common.

    def from_first(self, value: Value) -> Value:
        """The first rank's value, on every rank: numbers, tensors, lists and dictionaries."""
        return value if self.size == 1 else from_first(value)

    def agree(self, *modules: nn.Module) -> None:
        """Parameters, buffers and memories become the first rank's, and torch's random numbers."""
        if self.size == 1:
            return
        for module in modules:
            state = module.state_dict()
            tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
            for t in tensors.values():
                broadcast(t)
            rest = {k: v for k, v in state.items() if k not in tensors}
            if rest:
                rest = self.from_first(rest)
                if not self.first:
                    module.load_state_dict(tensors | rest)
        torch.set_rng_state(self.from_first(torch.get_rng_state()))
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(self.from_first(torch.cuda.get_rng_state()))

    def meets(self, model: nn.Module) -> bool:
        """Whether this model is seen for the first time."""
        new = model not in self._met
        self._met.add(model)
        return new

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.size > 1:
            barrier()

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first rank goes through the block before the others, which find the files it has
        written.
        """
        if not self.first:
            self.barrier()
        try:
            yield
        finally:
            if self.first:
                self.barrier()


world = World()
