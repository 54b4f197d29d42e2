"""From Shapley values to shares, and from shares to the dominant modality.

The shares of an accuracy are quotients of whole numbers, one division each. So a modality that adds
nothing has a share of exactly zero, equal modalities have equal shares to the last bit, and nothing
depends on the order in which the modalities stand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from msam_lib.contributions.shapley import shapley_from_values, shapley_numerators
from msam_lib.errors import unknown_name

HOWS = ("clip", "agm", "softmax")


def normalise(
    phi: Tensor, how: str = "clip", *, empty: Tensor | float = 0.0, temperature: float = 0.1
) -> Tensor:
    """Shares v (M,) >= 0 that sum to 1, from Shapley values (M,).

    The sources divide by the sum and do not say what happens to a negative value, which batch
    accuracy produces now and then. The choices:

    * `"clip"`: negative values count as 0; all zero gives the uniform share.
    * `"agm"`: the empty coalition is dropped, as AGM (Li et al., ICCV 2023) does: phi_m + Phi(none)
      / M, then clip.
    * `"softmax"`: softmax(phi / temperature), never zero.

    >>> normalise(torch.tensor([0.3, 0.1, -0.2]))
    tensor([0.7500, 0.2500, 0.0000])
    """
    if how not in HOWS:
        raise unknown_name("contribution", how, HOWS)
    if how == "softmax":
        size = torch.exp((phi - phi.max()) / temperature)
        return size / size.sort().values.sum()  # sorted: the sum has no order of modalities
    return _quotients(phi + empty / len(phi) if how == "agm" else phi)


def accuracy_shares(counts: Tensor, samples: int, how: str = "clip") -> tuple[Tensor, Tensor]:
    """Shapley values (M,) and shares (M,) of an accuracy, from how many of the `samples` answers
    are right in each coalition, `counts` (2^M,), ordered as `coalition_masks`.

    >>> accuracy_shares(torch.tensor([8, 8, 8, 8, 7, 7, 7, 7]), 16)[1]  # phi = (0, 0, -1/16)
    tensor([0.3333, 0.3333, 0.3333], dtype=torch.float64)
    """
    if how not in HOWS:
        raise unknown_name("contribution", how, HOWS)
    parts = shapley_numerators(counts)  # phi * M! * samples, whole numbers still
    m = len(parts)
    phi = parts / (math.factorial(m) * samples)
    if how == "softmax":
        return phi, normalise(phi, "softmax")
    # agm: + Phi(none) / M, in the same whole numbers
    return phi, _quotients(parts + math.factorial(m - 1) * counts[0] if how == "agm" else parts)


def value_shares(values: Tensor, how: str = "clip") -> tuple[Tensor, Tensor]:
    """Shapley values (M,) and shares (M,) of any other value of the coalitions, `values` (2^M,)."""
    phi = shapley_from_values(values)
    return phi, normalise(phi, how, empty=values[0])


def _quotients(parts: Tensor) -> Tensor:
    """Parts of the whole, negative ones counted as zero; the uniform share where nothing is
    left.
    """
    parts = parts.clamp(min=0)
    return (parts / parts.sum()).nan_to_num(nan=1 / len(parts))


def leader(modalities: Sequence[str], weights: Tensor, phi: Tensor, *, least: bool = False) -> str:
    """The modality with the largest share (or the least one).

    Batch accuracy is quantised, so equal shares are common. The order of the modalities must not
    decide: equals are separated by phi, which clipping may have hidden, and then by name.
    """
    sign = 1 if least else -1
    shares, values = (sign * torch.stack([weights, phi.to(weights)])).tolist()
    # the largest share, then the largest phi, then the first name
    return min(zip(shares, values, modalities, strict=True))[-1]


def dominant_modality(weights: Mapping[str, float]) -> str:
    """The modality with the largest share; the alphabetically first of equals, whatever the order
    given.
    """
    return min(weights, key=lambda m: (-weights[m], m))
