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
    """Which method's loss rises least around its minimum, as far as seeds tell: those whose paired
    95 % interval of the difference to the lowest mean includes 0 share the place.

    Args:
        rises: (S, K) nats, a row per seed, a column per method.
    """
    order = rises.mean().sort_values()
    first = str(order.index[0])
    if len(rises) < 2:
        return f"the loss of {first} rises least, on one seed"
    over = rises.sub(rises[first], axis=0).drop(columns=first)
    found = intervals(over.melt(var_name="name").groupby("name", sort=False)["value"])
    apart = [str(name) for name in order.index if name in found.index and found["low"][name] > 0]
    if not apart:
        return "no clear difference between the methods"
    if len(apart) == len(found):
        return f"the loss of {first} rises clearly least"
    return f"the loss of {_listed(apart)} rises clearly more than that of {first}"


def _listed(names: list[str]) -> str:
    """Names joined by commas and an `and`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
