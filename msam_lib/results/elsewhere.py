"""The same comparison with another arithmetic: what changes on another processor.

The same seeds with another instruction set (`ATEN_CPU_CAPABILITY=default` instead of AVX2) round
otherwise, and trainings drift apart within a few hundred steps. How much that adds to the spread
over seeds is estimated by the method of moments (as tau^2 of a random-effects model).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from msam_lib.labels import Comparison, display_names
from msam_lib.results.comparison import FUSED, HEAD, WEAKEST, compared, measured
from msam_lib.results.remembered import remembered
from msam_lib.results.statistics import holm, paired

BASELINE = "joint"
MEASURES = ((FUSED, "fused"), (WEAKEST, "weakest"), (HEAD, "head"))


@remembered(2)  # a table and its text ask for them
def both_ways(here: pd.DataFrame, there: pd.DataFrame, where: Comparison) -> pd.DataFrame:
    """Gains over joint training, paired by seed, with either arithmetic, in points.

    Args:
        here, there: frozen rows of the comparison with one arithmetic and with the other; methods
            that are in one of them only are left out.
        where: data set and fusion.

    Returns:
        A row per method: label, name, n, and for fused, weakest (the modality that joint training
        leaves weakest) and, where there is one, head (the same one by its own head) `<what>_here`,
        `<what>_there`, their standard errors `..._se` and half-widths of the 95 % intervals
        `..._half`, p values by Holm `..._p`.
    """
    out: dict[str, list[float]] = {}
    labels: list[str] = []
    for what, short in MEASURES:
        both = {"here": compared(measured(here), what), "there": compared(measured(there), what)}
        if what == HEAD and not all(where in tables for tables in both.values()):
            continue  # no head of its own
        sides = {side: tables[where] for side, tables in both.items()}
        shared = sides["here"].index.intersection(sides["there"].index, sort=False)
        labels = [k for k in shared if k != BASELINE]
        for side, table in sides.items():
            tests = []
            for label in labels:
                pair = table.loc[[label, BASELINE]].dropna(axis=1)
                d = pair.loc[label] - pair.loc[BASELINE]
                tests.append((paired(pair.loc[label], pair.loc[BASELINE]), d.std() / len(d) ** 0.5))
            name = f"{short}_{side}"
            out[name] = [t.difference for t, _ in tests]
            out[f"{name}_se"] = [float(se) for _, se in tests]
            out[f"{name}_half"] = [t.high - t.difference for t, _ in tests]
            out[f"{name}_p"] = list(holm([t.p_t for t, _ in tests]))
            out["n"] = [t.n for t, _ in tests]
    names = display_names(labels)
    return pd.DataFrame({"label": labels, "name": [names[k] for k in labels], **out})


def between(table: pd.DataFrame, short: str = "fused") -> float:
    """Standard deviation tau, in points, that the arithmetic adds to a gain beyond the spread over
    seeds: tau^2 = max(0, mean over methods of (d_here - d_there)^2 - se_here^2 - se_there^2) / 2.

    Args:
        table: of `both_ways`.
        short: "fused", "weakest" or "head".
    """
    d = table[f"{short}_here"] - table[f"{short}_there"]
    noise = table[f"{short}_here_se"] ** 2 + table[f"{short}_there_se"] ** 2
    return float(np.sqrt(max(0.0, (d**2 - noise).mean() / 2)))


def verdicts(table: pd.DataFrame, short: str = "fused") -> pd.DataFrame:
    """+1, -1 or 0 for a gain, a loss, or neither that is clear (5 % by Holm): a row per method,
    columns here and there.
    """
    sides = {
        side: np.sign(table[f"{short}_{side}"]) * (table[f"{short}_{side}_p"] < 0.05)
        for side in ("here", "there")
    }
    return pd.DataFrame(sides).astype(int).set_index(table["name"])
