"""What every method gains over joint training in one comparison, with the luck of both searches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from msam_lib.labels import Comparison, display_names
from msam_lib.results.comparison import compared, measured
from msam_lib.results.elsewhere import BASELINE, MEASURES, between, both_ways
from msam_lib.results.luck import NORMAL, every_redrawn, redrawn, with_luck
from msam_lib.results.remembered import remembered
from msam_lib.results.rows import one_epoch_per_run
from msam_lib.results.statistics import holm, paired


def chosen_trials(search: pd.DataFrame, where: Comparison) -> pd.DataFrame:
    """The trial that the search chose for every method: a row per label with columns lr, option,
    trials (their number) and edges (of lr and option, those whose chosen value is the smallest or
    the largest of all that was tried).

    Args:
        search: frozen trials of every search.
        where: data set and fusion.
    """
    rows = search[
        (search["dataset"] == where.dataset)
        & (search["fusion"] == where.fusion)
        & (search["split"] == "val")
    ]
    out = {}
    for label, own in rows.groupby("label", sort=False):
        trial = own[own["chosen"] == 1].iloc[0]
        options = pd.to_numeric(own["option"], errors="coerce")
        here = pd.to_numeric(trial["option"], errors="coerce")
        ends = {"lr": (own["lr"].min(), own["lr"].max()), "option": (options.min(), options.max())}
        at = {"lr": trial["lr"], "option": here}
        edges = [k for k, (low, high) in ends.items() if low < high and at[k] in (low, high)]
        out[label] = (trial["lr"], trial["option"], own["run"].nunique(), edges)
    return pd.DataFrame.from_dict(out, orient="index", columns=["lr", "option", "trials", "edges"])


@remembered(2)  # a table and its text ask for them
def gains(
    frame: pd.DataFrame,
    search: pd.DataFrame,
    where: Comparison,
    elsewhere: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Test accuracy minus joint training's, paired by seed, of the whole model and of the modality
    that joint training leaves weakest: with the others absent, and by its own head.

    Half-widths are those of 95 % Student-t intervals over the seeds of the final runs, widened by
    the luck of both searches (`results.luck`) and, where it was measured, by what another
    arithmetic adds (`results.elsewhere.between`); p values are those of the paired t test, adjusted
    by Holm for the number of methods.

    Args:
        frame: frozen rows of the comparison.
        search: frozen trials of every search.
        where: data set and fusion.
        elsewhere: frozen rows of (part of) the comparison with another arithmetic; None where it
            was not measured.

    Returns:
        A row per method but joint training: label, name, fused, fused_half, fused_p, weakest,
        weakest_half, weakest_p (points and p values), head, head_half, head_p (where there is a
        head, see `compared`), n, and the columns of `chosen_trials`. The search looks at the whole
        model only, so the weakest modality's intervals hold the luck of the whole model's accuracy,
        not its own.
    """
    ends = one_epoch_per_run(measured(frame))
    found = {short: compared(ends, what) for what, short in MEASURES}
    tables = {short: t[where] for short, t in found.items() if where in t}  # some have no heads
    labels = [k for k in found["fused"][where].index if k != BASELINE]
    every = every_redrawn(search)
    luck = {
        k: every[where, k] if (where, k) in every else 100 * redrawn(search, where, k)
        for k in (BASELINE, *labels)  # redrawn says what is missing
    }
    ways = None if elsewhere is None else both_ways(frame, elsewhere, where)
    columns = {}
    for short, values in tables.items():
        tests = []
        for label in labels:
            both = values.reindex([label, BASELINE]).dropna(axis=1)
            tests.append(paired(both.loc[label], both.loc[BASELINE]))
        columns[short] = [t.difference for t in tests]
        measured_there = ways is not None and f"{short}_here" in ways
        added = NORMAL * between(ways, short) if measured_there else 0.0
        columns[f"{short}_half"] = [
            float(np.hypot(with_luck(t.high - t.difference, luck[k], luck[BASELINE]), added))
            for k, t in zip(labels, tests, strict=True)
        ]
        columns[f"{short}_p"] = list(holm([t.p_t for t in tests]))
        columns["n"] = [t.n for t in tests]
    names = display_names(labels)
    out = pd.DataFrame({"label": labels, "name": [names[k] for k in labels], **columns})
    return out.join(chosen_trials(search, where), on="label")


def clear(table: pd.DataFrame, short: str = "fused") -> pd.Series:
    """Whether each gain is clear: its p value is below 0.05, and the interval, with the luck of the
    search, leaves out 0.

    Args:
        table: of `gains`.
        short: "fused", "weakest" or "head".
    """
    return (table[f"{short}_p"] < 0.05) & (table[short].abs() > table[f"{short}_half"])


def collapsed(frame: pd.DataFrame, where: Comparison, below: float) -> pd.Series:
    """Share of runs of every method whose fused test accuracy (%) is below a bound: runs that
    collapse or not by chance are told by their share, not by a mean.

    Args:
        frame: frozen rows of the comparison.
        where: data set and fusion.
        below: the bound in percent, for example the accuracy of the best single modality.
    """
    table = compared(measured(frame))[where]
    return (table < below).sum(axis=1) / np.maximum(1, table.notna().sum(axis=1))
