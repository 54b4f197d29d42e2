"""Interactive pictures of the course notebooks 02 to 04. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from matplotlib.figure import Figure

from msam_lib.interactive.explorer import Explorer
from msam_lib.plots.teaching import (
    accord_vectors,
    coalition_bars,
    envelope,
    step_vectors,
    worst_case,
)

EXTENT = (-1.0, 4.0)  # of the weight in `two_valleys`
CURVATURE = np.array([1.0, 3.0])  # of the bowl in `step_explorer`


def coalition_explorer(values: Mapping[frozenset[str], float], names: Sequence[str]) -> Explorer:
    """An explorer of coalitions: choose the modalities present, see what each absent one would add.

    Args:
        values: {coalition: accuracy in [0, 1]}, all 2^M of them.
        names: of the modalities.
    """
    every = [frozenset(c) for k in range(len(names) + 1) for c in combinations(names, k)]
    # {text in the menu: coalition}
    coalitions = {_words(s, names): s for s in every}

    def draw(present: str) -> Figure:
        return coalition_bars(values, names, chosen=coalitions[present])

    def alt(present: str) -> str:
        s = coalitions[present]
        gains = [
            f"{m} adds {100 * (values[s | {m}] - values[s]):+.0f}" for m in names if m not in s
        ]
        return f"With {present}: {100 * values[s]:.0f} %. " + "; ".join(gains or ["All are there."])

    return Explorer(draw, {"present": list(coalitions)}, alt)


def _words(s: frozenset[str], names: Sequence[str]) -> str:
    """The coalition's modalities as `"audio + text"`."""
    return " + ".join(m for m in names if m in s) or "none"


def two_valleys(x: np.ndarray) -> np.ndarray:
    """A loss of one weight x (N,): a narrow valley at 0 and a wide one at 2, less deep."""
    narrow, wide = np.exp(-(x**2) / 0.02), np.exp(-((x - 2) ** 2) / 0.7)
    return 1.5 - 1.25 * narrow - 1.1 * wide + 0.05 * (x - 1) ** 2


def slope(x: float, h: float = 1e-5) -> float:
    """The derivative of `two_valleys`, by a central difference."""
    low, high = two_valleys(np.array([x - h, x + h]))
    return float(high - low) / (2 * h)


def descend(start: float, lr: float, rho: float, steps: int = 200) -> np.ndarray:
    """The weights (steps + 1,) that SAM visits on `two_valleys`; rho = 0 is gradient descent."""
    way = [float(start)]
    for _ in range(steps):
        g = slope(way[-1])
        if rho and g:  # the gradient at the perturbed weight; in one dimension g / |g| is the sign
            g = slope(float(climbed(np.array(way[-1:]), rho)[0]))
        way.append(float(np.clip(way[-1] - lr * g, *EXTENT)))
    return np.array(way)


def climbed(way: np.ndarray, rho: float) -> np.ndarray:
    """The weights (N,) at which SAM takes its gradients, a climb of rho above those of its way."""
    return np.array([x + rho * np.sign(slope(x)) for x in way])


def sam_playground(
    rhos: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8),
    starts: Sequence[float] = (-0.5, 0.05, 1.0),
    lr: float = 0.02,
) -> Explorer:
    """An explorer of SAM on `two_valleys`: choose radius and start, see the worst-case loss and
    where the steps end.

    Args:
        rhos, starts: radii and first weights to choose from.
        lr: learning rate.
    """

    def draw(rho: float, start: float) -> Figure:
        return worst_case(two_valleys, rho, extent=EXTENT, way=descend(start, lr, rho))

    def alt(rho: float, start: float) -> str:
        x = np.linspace(*EXTENT, 1201)
        best = x[envelope(two_valleys, x, rho).argmin()]
        return (
            f"With radius {rho} the worst case is lowest at {best:.2f} (narrow valley 0, wide "
            f"valley 2). From {start} the steps end at {descend(start, lr, rho)[-1]:.2f}."
        )

    return Explorer(
        draw,
        {"rho": list(rhos), "start": list(starts)},
        alt,
        start={"rho": rhos[len(rhos) // 2], "start": starts[0]},
        titles={"rho": "radius ρ"},
    )


def msam_step(
    rho: float, share: float, theta: Sequence[float] = (1.0, 0.5)
) -> tuple[np.ndarray, ...]:
    """(theta, eps, gradient at theta, gradient at theta + eps, their mixture), each (2,), of one
    M-SAM step on the bowl (x^2 + 3 y^2) / 2.

    Args:
        rho: radius.
        share: weight of the perturbed gradient in the mixture.
        theta: the weights.
    """
    at = np.array(theta, dtype=float)
    here = CURVATURE * at
    eps = rho * here / np.linalg.norm(here)
    there = CURVATURE * (at + eps)
    return at, eps, here, there, (1 - share) * here + share * there


def step_explorer(
    rhos: Sequence[float] = (0.0, 0.2, 0.4, 0.8), shares: Sequence[float] = (0.5, 0.6, 0.8, 1.0)
) -> Explorer:
    """An explorer of M-SAM's step on a bowl: choose the radius and the dominant modality's share.

    Args:
        rhos, shares: radii and shares to choose from.
    """

    def draw(rho: float, share: float) -> Figure:
        return step_vectors(*msam_step(rho, share), title=f"ρ = {rho}, v = {share}")

    def alt(rho: float, share: float) -> str:
        _, _, here, there, mixed = msam_step(rho, share)
        sizes = [np.linalg.norm(g) for g in (here, there, mixed)]
        return (
            f"With radius {rho} and share {share}: the gradient here has length {sizes[0]:.2f}, "
            f"there {sizes[1]:.2f}, M-SAM's mixture {sizes[2]:.2f}."
        )

    return Explorer(
        draw,
        {"rho": list(rhos), "share": list(shares)},
        alt,
        start={"rho": rhos[len(rhos) // 2], "share": shares[len(shares) // 2]},
        titles={"rho": "radius ρ", "share": "share v of the dominant modality"},
    )


def accord_explorer(
    angles: Sequence[int] = (0, 30, 60, 90, 120, 150), rhos: Sequence[float] = (0.2, 0.5, 1.0)
) -> Explorer:
    """An explorer of MASAM's perturbation of an encoder: rho times the cosine between the gradients
    of the fused and of the encoder's own loss, along the fused one; M-SAM ignores the angle.

    Args:
        angles: between the two gradients, in degrees.
        rhos: radii.
    """

    def gamma(angle: int) -> float:
        return float(np.cos(np.radians(angle)))

    def draw(angle: int, rho: float) -> Figure:
        return accord_vectors(np.radians(angle), rho)

    def alt(angle: int, rho: float) -> str:
        g = gamma(angle)
        return (
            f"At {angle} degrees between the two gradients gamma is {g:.2f}: MASAM moves the "
            f"encoder by {rho * g:+.2f} along the fused gradient, M-SAM by {rho:.2f}."
        )

    start = {"angle": angles[min(2, len(angles) - 1)], "rho": rhos[len(rhos) // 2]}
    return Explorer(draw, {"angle": angles, "rho": rhos}, alt, start=start)
