"""Shapley values of a game with M players: exactly for up to 10, by antithetic sampling beyond.

Nothing here knows of models or modalities: a game is its values, or a function from coalitions to
values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from msam_lib.errors import MsamError


@lru_cache(maxsize=32)
def coalition_masks(modalities: int) -> Tensor:
    """All subsets (2^M, M) as booleans; row k holds the binary digits of k, so row 0 is empty, the
    last full.
    """
    return (torch.arange(2**modalities)[:, None] >> torch.arange(modalities)) & 1 == 1


@lru_cache(maxsize=32)
def _shapley_matrix(modalities: int) -> Tensor:
    """The (M, 2^M) matrix that maps coalition values to Shapley values."""
    masks, m = coalition_masks(modalities), modalities
    size = masks.sum(1)
    factorial = torch.tensor([math.factorial(i) for i in range(m + 1)], dtype=torch.float64)
    joined = factorial[(size - 1).clamp(min=0)] * factorial[m - size] / factorial[m]
    left = factorial[size] * factorial[(m - size - 1).clamp(min=0)] / factorial[m]
    return torch.where(masks.T, joined, -left)


def shapley_from_values(values: Tensor) -> Tensor:
    """Shapley values (M, ...) of coalition values (2^M, ...), ordered as `coalition_masks`.

    Raises:
        MsamError: where the first dimension is not a power of two.
    """
    modalities = len(values).bit_length() - 1
    if len(values) != 2**modalities or modalities < 1:
        raise MsamError(
            f"values has {len(values)} rows; 2^M rows are needed, one for each coalition."
        )
    matrix = _shapley_matrix(modalities).to(device=values.device, dtype=values.dtype)
    return torch.tensordot(matrix, values, dims=1)


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
        rank = torch.empty_like(order).scatter_(0, order, torch.arange(players))
        gains = []
        for r in (rank, players - 1 - rank):
            values = play(r < steps)  # (M + 1,): the first k players in this order are present
            gains.append((values[1:] - values[:-1])[r.to(values.device)])
        pairs.append((gains[0] + gains[1]) / 2)
    samples = torch.stack(pairs)  # (P, M)
    error = samples.std(0) / math.sqrt(permutations)
    return samples.mean(0), error, values[0], values[-1]
