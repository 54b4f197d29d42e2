"""Selecting rows of frozen results: those that a figure or table shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from msam_lib.errors import MsamError, unknown_name
from msam_lib.labels import display_names, parse
from msam_lib.results.frame import reported_epoch


def fusion_rows(fusion: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A selection of the methods compared under a fusion: without the strong-versus-weak runs.

    SAM at that comparison's radius is left out where SAM was also run at another one.
    """

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame[frame["fusion"] == fusion]
        if rows.empty:
            fusions = ", ".join(sorted(frame["fusion"].unique()))
            raise MsamError(
                f"No runs with fusion {fusion!r}; there is: {fusions}. Run the suite: "
                "`python -m msam_lib figures`."
            )
        # The runs of that comparison are those with a `target`, and SAM at their radius.
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
    """A selection of some methods' rows under a fusion."""

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        rows = fusion_rows(fusion)(frame)
        return rows[rows["label"].isin(labels)]

    return select


def strong_weak_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs of the strong-versus-weak comparison (late fusion)."""
    rows = frame[frame["fusion"] == "late"]
    return rows[rows["label"].isin(roles(list(rows["label"].unique())))]


def alone(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Rows of unimodal training, the reference of the curves; None where there are none."""
    reference = rows[rows["method"] == "unimodal"]
    return None if reference.empty else reference


def with_reference(fusion: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A selection of a fusion's rows and those of unimodal training, under whichever fusion."""
    choose = fusion_rows(fusion)

    def select(frame: pd.DataFrame) -> pd.DataFrame:
        rows = choose(frame)
        extra = frame[(frame["method"] == "unimodal") & ~frame["run"].isin(rows["run"])]
        return pd.concat([rows, extra.assign(fusion=fusion)])

    return select


def traced_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The late-fusion runs whose Hessian traces were measured, of the methods compared there."""
    rows = fusion_rows("late")(frame)
    rows = rows[rows["metric"].str.startswith("hessian_trace")]
    if rows.empty:
        raise MsamError("No run here measured Hessian traces. Train with traces=5, for example.")
    return rows


NONE, ALL, STRONG, WEAK = (
    "nothing (joint)",
    "all weights (SAM)",
    "dominant encoder",
    "weakest encoder",
)


def roles(labels: list[str]) -> dict[str, str]:
    """{label: what was perturbed}, from nothing to the weakest encoder, of the labels of the
    strong-versus-weak comparison: joint, SAM, and M-SAM with a `target`.

    Where SAM was run at several radii, only the one of M-SAM's runs belongs to the comparison.
    """
    by_role: dict[str, list[str]] = {NONE: [], ALL: [], STRONG: [], WEAK: []}
    targets = {"dominant": STRONG, "weakest": WEAK}
    parsed = {label: parse(label) for label in labels}
    for label, (method, options) in parsed.items():
        if method == "joint":
            by_role[NONE].append(label)
        elif options.get("target") in targets:
            by_role[targets[options["target"]]].append(label)
    radius = {parsed[label][1].get("rho") for label in by_role[STRONG] + by_role[WEAK]}
    sams = [label for label, (method, _) in parsed.items() if method == "sam"]
    same = [label for label in sams if parsed[label][1].get("rho") in radius]
    by_role[ALL] = same if len(sams) > 1 else sams
    return {label: role for role, of_role in by_role.items() for label in of_role}


def choose(
    frame: pd.DataFrame,
    labels: Sequence[str] | None,
    titles: Mapping[str, str] | None = None,
    *,
    without: Iterable[str] = (),
) -> dict[str, str]:
    """{label: display name} of the labels to draw: those given, in their order, or all.

    Args:
        frame: tidy rows.
        labels: those to draw; None for all.
        titles: {label or method: name}.
        without: methods left out of all.

    Raises:
        MsamError: unknown label, or rows of several data sets or fusions.
    """
    # Means over mixed data sets or fusions would say nothing.
    for column in ("dataset", "fusion"):
        if frame[column].nunique() > 1:
            values = ", ".join(sorted(frame[column].unique()))
            raise MsamError(f"Rows of several {column}s ({values}); choose one of them first.")
    known = list(frame["label"].unique())
    for label in labels or ():
        if label not in known:
            raise unknown_name("label", label, known)
    if labels is None:
        left_out = set(without)
        methods = frame.drop_duplicates("label").set_index("label")["method"]
        labels = [name for name in display_names(known, titles) if methods[name] not in left_out]
    # Names depend on all labels shown: radii only where they distinguish.
    names = display_names(labels, titles)
    return {label: names[label] for label in labels}


def metric_rows(frame: pd.DataFrame, metric: str, split: str) -> pd.DataFrame:
    """The rows of one metric on one split.

    Raises:
        MsamError: there are none.
    """
    chosen = frame[(frame["metric"] == metric) & (frame["split"] == split)]
    if chosen.empty:
        measured = sorted(set(zip(frame["split"], frame["metric"], strict=True)))
        listed = ", ".join(f"{m} on {s}" for s, m in measured if not m.startswith("contribution/"))
        raise MsamError(f"No {metric} on {split} in these rows; there is: {listed}.")
    return chosen


def one_epoch_per_run(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of one epoch of each run: all rows, or `reported_epoch(frame)` where a run has
    several epochs.
    """
    several = frame.drop_duplicates(["run", "epoch"])["run"].duplicated().any()
    return reported_epoch(frame) if several else frame


def modalities_of(frame: pd.DataFrame) -> list[str]:
    """The modalities of a frame, without the fused model."""
    return [m for m in frame["modality"].unique() if m != "fused"]


def seeds_in_words(frame: pd.DataFrame) -> str:
    """`"3 seeds"`, `"1 seed"`."""
    n = frame["seed"].nunique()
    return f"{n} seed" if n == 1 else f"{n} seeds"
