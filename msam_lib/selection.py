"""Which rows of the frozen results a figure or table shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from msam_lib.errors import MsamError
from msam_lib.plots.names import parse
from msam_lib.plots.perturbation import roles


def fusion_rows(fusion: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The methods compared under a fusion: all but the runs of the strong-versus-weak comparison.

    SAM at that comparison's radius is left out where SAM was also run at another one.
    """

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame[frame["fusion"] == fusion]
        if rows.empty:
            there = ", ".join(sorted(frame["fusion"].unique()))
            raise MsamError(f"No runs with fusion {fusion!r}; there is: {there}. Run the suite.")
        labels = list(rows["label"].unique())
        options = {label: parse(label)[1] for label in labels}
        special = {label for label in labels if "target" in options[label]}
        sams = [label for label in labels if parse(label)[0] == "sam"]
        at = {options[label].get("rho") for label in special}
        if len(sams) > 1:
            special |= {label for label in sams if options[label].get("rho") in at}
        return rows[~rows["label"].isin(special)]

    return select


def method_rows(fusion: str, labels: Sequence[str]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The rows of some methods under a fusion."""

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        rows = fusion_rows(fusion)(frame)
        return rows[rows["label"].isin(labels)]

    return select


def strong_weak_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs of the strong-versus-weak comparison (late fusion)."""
    rows = frame[frame["fusion"] == "late"]
    return rows[rows["label"].isin(roles(list(rows["label"].unique())))]


def alone(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Rows of unimodal training, the reference of the curves."""
    own = rows[rows["method"] == "unimodal"]
    return None if own.empty else own


def with_reference(fusion: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The rows of a fusion, and unimodal training from whichever fusion had it."""
    choose = fusion_rows(fusion)

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        rows = choose(frame)
        extra = frame[(frame["method"] == "unimodal") & ~frame["run"].isin(rows["run"])]
        return pd.concat([rows, extra.assign(fusion=fusion)])

    return select


def traced_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The late-fusion runs whose Hessian traces were measured."""
    rows = frame[(frame["fusion"] == "late") & frame["metric"].str.startswith("hessian_trace")]
    if rows.empty:
        raise MsamError("No run here measured Hessian traces. Train with traces=5, for example.")
    return rows
