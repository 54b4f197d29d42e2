"""Shapley values of a game with M players: exactly for up to 10, by antithetic sampling beyond.

Nothing here knows of models or modalities: a game is its values, or a function from coalitions to
values. Values that are whole numbers (correct answers, counted) are summed as such: M! times a
Shapley value is then a whole number too, free of rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from msam_lib.errors import MsamError


@lru_cache(maxsize=32)
def coalition_masks(modalities: int, device: torch.device | None = None) -> Tensor:
    """All subsets (2^M, M) as booleans; row k holds the binary digits of k, so row 0 is empty, the
    last full. Made once for each device.
    """
    masks = (torch.arange(2**modalities)[:, None] >> torch.arange(modalities)) & 1 == 1
    return masks.to(device)


@lru_cache(maxsize=32)
def _orders(modalities: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The (M, 2^M) whole numbers that map coalition values to M! times the Shapley values."""
    masks, m = coalition_masks(modalities), modalities
    size = masks.sum(1)
    factorial = torch.tensor([math.factorial(i) for i in range(m + 1)])
    # (|S|)! (M - |S| - 1)! with S the others: +Phi(S + m), and -Phi(S)
    joined = factorial[(size - 1).clamp(min=0)] * factorial[m - size]
    left = factorial[size] * factorial[(m - size - 1).clamp(min=0)]
    return torch.where(masks.T, joined, -left).to(device, dtype)


@lru_cache(maxsize=32)
def _shapley_matrix(modalities: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The (M, 2^M) matrix that maps coalition values to Shapley values."""
    orders = _orders(modalities, torch.device("cpu"), torch.float64)
    return (orders / math.factorial(modalities)).to(device, dtype)


def double(x: Tensor) -> Tensor:
    """In double precision, or single where the device knows no other."""
    return x.to(torch.float32 if x.device.type == "mps" else torch.float64)


def shapley_numerators(counts: Tensor) -> Tensor:
    """M! times the Shapley values (M, ...) of whole coalition values (2^M, ...), for M up to 10 and
    any count that occurs: whole numbers below 2^53, of which double precision loses none.

    >>> shapley_numerators(torch.tensor([1, 5, 3, 9]))
    tensor([10.,  6.], dtype=torch.float64)
    """
    m = _players(counts)
    if counts.device.type == "mps":  # no double precision there: whole numbers as such
        orders = _orders(m, counts.device, torch.int64)
        return (orders.view(m, -1, *[1] * (counts.dim() - 1)) * counts).sum(1).float()
    return _applied(_orders(m, counts.device, torch.float64), counts.double())


def shapley_from_values(values: Tensor) -> Tensor:
    """Shapley values (M, ...) of coalition values (2^M, ...), ordered as `coalition_masks`.

    Whole values give the exact result rounded once, in double precision.

    Raises:
        MsamError: where the first dimension is not a power of two.
    """
    m = _players(values)
    if not values.is_floating_point():
        return shapley_numerators(values) / math.factorial(m)
    return _applied(_shapley_matrix(m, values.device, values.dtype), values)


def _applied(matrix: Tensor, values: Tensor) -> Tensor:
    if values.dim() <= 2:
        return matrix @ values
    return (matrix @ values.flatten(1)).view(len(matrix), *values.shape[1:])


def _players(values: Tensor) -> int:
    m = len(values).bit_length() - 1
    if len(values) != 2**m or m < 1:
        raise MsamError(
            f"values has {len(values)} rows; 2^M rows are needed, one for each coalition."
        )
    return m


def sampled_shapley(
    play: Callable[[Tensor], Tensor], players: int, *, permutations: int = 64, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shapley values by antithetic permutation sampling: (phi (M,), standard error (M,), Phi(none),
    Phi(all)).

    Args:
        play: masks (K, M) -> values (K,).
        players: M.
        permutations: pairs of a random order and its reverse; at least 2, for the standard error.
        seed: of the orders.
    """
    if permutations < 2:
        raise MsamError(f"permutations={permutations}; at least 2 are needed for a standard error.")
    generator = torch.Generator().manual_seed(seed)
    steps = torch.arange(players + 1)[:, None]
    pairs = []
    for _ in range(permutations):
        order = torch.randperm(players, generator=generator)
        # each player's place in this order
        rank = torch.empty_like(order).scatter_(0, order, torch.arange(players))
        gains = []
        for r in (rank, players - 1 - rank):  # the order and its reverse
            values = play(r < steps)  # (M + 1,): the first k players in this order are present
            gains.append((values[1:] - values[:-1])[r.to(values.device)])  # (M,), by player
        pairs.append((gains[0] + gains[1]) / 2)  # antithetic: one sample per pair
    samples = torch.stack(pairs)  # (P, M)
    error = samples.std(0) / math.sqrt(permutations)
    return samples.mean(0), error, values[0], values[-1]
