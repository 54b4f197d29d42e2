"""What a figure shows in a sentence, computed from the rows that it is drawn from."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from msam_lib.results.summary import intervals

SAME = "joint"  # what methods are compared with


def final_gains(rows: pd.DataFrame, reference: str = SAME) -> pd.DataFrame:
    """By how much each label ends above a reference, paired by seed: index label, columns mean,
    low, high (95 % Student-t interval), n; the reference is left out.

    Args:
        rows: of one metric and one modality; the last epoch counts.
        reference: the label compared with.
    """
    last = rows[rows["epoch"] == rows["epoch"].max()]
    wide = last.pivot_table(index="seed", columns="label", values="value", sort=False)
    if reference not in wide:
        return pd.DataFrame(columns=["mean", "low", "high", "n"])
    gains = wide.sub(wide[reference], axis=0).drop(columns=reference)
    return intervals(gains.melt().dropna().groupby("label", sort=False)["value"])


def ending(rows: pd.DataFrame, names: Mapping[str, str], reference: str = SAME) -> str:
    """Which methods end clearly above or below the reference: their 95 % interval excludes 0.

    Args:
        rows: as for `final_gains`; larger values count as above.
        names: {label: name} of the methods considered, the reference's name included.
        reference: the label compared with.
    """
    gains = final_gains(rows[rows["label"].isin(names)], reference)
    if gains.empty:
        return ""
    sides = {
        "above": gains[gains["low"] > 0].sort_values("mean", ascending=False),
        "below": gains[gains["high"] < 0].sort_values("mean"),
    }
    parts = [
        f"{_listed([names[k] for k in g.index])} {side}" for side, g in sides.items() if len(g)
    ]
    other = names.get(reference, reference)
    other = other[0].lower() + other[1:]
    if not parts:
        return f"no method ends clearly above or below {other}"
    return f"{', '.join(parts)} {other} at the end"


def flattest(rises: pd.DataFrame) -> str:
    """Which method's loss rises least around its minimum, and whether the intervals allow to say
    so.

    Args:
        rises: index name of the method, columns mean, low, high (nats; NaN of one seed).
    """
    order = rises.sort_values("mean")
    first = order.iloc[0]
    others = order.iloc[1:]
    said = ", ".join(f"{name} {mean:.2g}" for name, mean in order["mean"].items())
    overlap = others[~(others["low"] > first["high"])]  # an unknown interval overlaps
    if others.empty or overlap.empty:
        return f"flattest: {order.index[0]} (rise {said} nats)"
    if len(overlap) == len(others):
        return f"equally flat within the intervals (rise {said} nats)"
    ties = _listed([str(order.index[0]), *map(str, overlap.index)])
    return f"flattest: {ties} (rise {said} nats)"


def _listed(names: list[str]) -> str:
    """Names joined by commas and an `and`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
