"""The Pareto front of cheap and good methods, and the same in words."""

from __future__ import annotations

import numpy as np
import pandas as pd


def pareto(points: pd.DataFrame) -> np.ndarray:
    """Mask (N,) of the Pareto front: points such that no other has x no larger and y no smaller,
    one of them strictly.

    Args:
        points: columns x (smaller is better) and y (larger is better).
    """
    x, y = points["x"].to_numpy(), points["y"].to_numpy()
    beaten = [
        bool(((x <= a) & (y > b)).any() or ((x < a) & (y >= b)).any())
        for a, b in zip(x, y, strict=True)
    ]
    return ~np.array(beaten)


def front_alt(points: pd.DataFrame, what: str, value: str) -> str:
    """The methods of the Pareto front of `accuracy_against` in words, panel by panel.

    Args:
        points: columns name, x, y and panel.
        what: is drawn against what.
        value: how a y is written, such as `"{:.1f} %"`.
    """
    parts = []
    for panel, part in points.groupby("panel", sort=False):
        best = part[pareto(part)].sort_values("x")
        named = [f"{r.name} ({r.x:.2g}, {value.format(r.y)})" for r in best.itertuples(index=False)]
        parts.append(f"{panel}: {', '.join(named)}")
    return f"{what}. Not beaten by one further left: {'; '.join(parts)}."
