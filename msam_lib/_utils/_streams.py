"""Two streams of random numbers within a training step of several ranks: one that all ranks share,
and one of the rank's own.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class _State(NamedTuple):
    cpu: Tensor
    cuda: Tensor | None


class Streams:
    """Makes torch's generators the rank's own; `shared` brings back what they were for a moment's
    draws, `close` for good.

    Dropout draws as many numbers as the rank has samples, which differs between ranks. Were there
    one stream, the ranks would from then on disagree about noise that has to be the same on all of
    them.

    Args:
        device: of the step.
        rank: of this process.
    """

    def __init__(self, device: torch.device, rank: int) -> None:
        self.device = device
        self._shared = self._now()
        # depends on the shared state, so that every step has dropout masks of its own
        torch.manual_seed(zlib.crc32(self._shared.cpu.numpy().tobytes()) * 4096 + rank)
        self._start = self._now()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Inside, the stream that all ranks share, which advances."""
        own = self._now()
        self._set(self._shared)
        try:
            yield
        finally:
            self._shared = self._now()
            self._set(own)

    def close(self) -> None:
        """Back to the shared stream. It advances by one number where the rank's own was used, and
        not at all where it was not: then it is where one process would have it.
        """
        used = not _equal(self._now(), self._start)
        self._set(self._shared)
        if used:
            torch.rand(())
            if self.device.type == "cuda":
                torch.rand((), device=self.device)

    def _now(self) -> _State:
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        return _State(torch.get_rng_state(), cuda)

    def _set(self, state: _State) -> None:
        torch.set_rng_state(state.cpu)
        if state.cuda is not None:
            torch.cuda.set_rng_state(state.cuda, self.device)


def _equal(a: _State, b: _State) -> bool:
    pairs = zip(a, b, strict=True)
    return all(x is None or y is None or torch.equal(x, y) for x, y in pairs)
