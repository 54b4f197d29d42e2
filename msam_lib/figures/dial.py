"""When does balancing pay? The dial of the noise, and one learning rate against a search."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.catalogue import DEFAULT_DATASET, FUSIONS
from msam_lib.figures import settings
from msam_lib.figures.item import FigureItem
from msam_lib.labels import Comparison, display_names
from msam_lib.plots import dial as plots
from msam_lib.results.comparison import compared
from msam_lib.results.dial import dial
from msam_lib.results.gains import clear
from msam_lib.results.summary import intervals

LEVEL = "speech at {:g} dB"
TUNED = ("joint", *settings.SHOWN)


def dial_table(*frames: pd.DataFrame) -> pd.DataFrame:
    """The gains at every level; frames of the settings, then of the search."""
    *several, search = frames
    named = dict(zip(settings.DIAL, several, strict=True))
    return dial(named, search, settings.SHOWN, option=settings.NOISE, usual=settings.USUAL)


def dial_title(table: pd.DataFrame) -> str:
    """The finding: where a method's gain is clear, and by how much at most."""
    gained = table[clear(table) & (table["fused"] > 0)]
    if gained.empty:
        return "At no level of noise does a method clearly gain over tuned joint training"
    levels = [f"{v:g}" for v in dict.fromkeys(gained["level"])]
    best = gained.loc[gained["fused"].idxmax()]
    return (
        f"Clear gains at {', '.join(levels)} dB: at most {best['fused']:+.1f} points "
        f"({best['name']}, {best['level']:g} dB)"
    )


def _dial(*frames: pd.DataFrame) -> Figure:
    table = dial_table(*frames)
    words = "speech over noise, dominant modality"
    return plots.dial_points(table, title=dial_title(table), xlabel=words)


DIAL = FigureItem(
    name="dial",
    title="When does balancing pay?",
    caption="Gains over tuned joint training on the embedded AV-MNIST, late fusion, as the noise "
    "in the speech is turned down; below each level the dominant modality and its Shapley share of "
    "the accuracy under joint training. Every method was searched anew at every level; mean of the "
    "differences paired by seed with the 95 % interval, which includes the luck of both searches "
    "(10 seeds).",
    needs=f"methods_{settings.DIAL[0]}",
    beside=(*(f"methods_{s}" for s in settings.DIAL[1:]), "search"),
    draw=_dial,
    describe=lambda *frames: plots.dial_alt(dial_table(*frames), LEVEL),
)


def before_after(
    tuned: pd.DataFrame, untuned: pd.DataFrame
) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """{fusion in words: (accuracies at the preset's values, after the search)} of `TUNED`."""
    out = {}
    tables = compared(untuned), compared(tuned)
    for fusion in ("late", "maxout"):
        where = Comparison(DEFAULT_DATASET, fusion)
        if where not in tables[0] or where not in tables[1]:
            continue
        labels = [k for k in TUNED if all(k in t[where].index for t in tables)]
        names = display_names(labels)
        pair = []
        for table in tables:
            values = table[where].loc[labels].rename(index=names).stack()
            found = intervals(values.groupby(level=0, sort=False))
            pair.append(
                pd.DataFrame({"mean": found["mean"], "half": found["high"] - found["mean"]})
            )
        out[FUSIONS[fusion].words] = (pair[0], pair[1])
    return out


def before_after_title(panels: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> str:
    """The finding: by how much the search raises joint training."""
    joint = display_names(["joint"])["joint"]
    raised = {
        words: after["mean"][joint] - before["mean"][joint]
        for words, (before, after) in panels.items()
    }
    said = " and ".join(f"{gain:.1f} ({words.split()[0]})" for words, gain in raised.items())
    return f"Tuning lifts joint training by {said} points"


def _before_after(tuned: pd.DataFrame, untuned: pd.DataFrame) -> Figure:
    found = before_after(tuned, untuned)
    return plots.before_and_after(found, title=before_after_title(found))


UNTUNED = FigureItem(
    name="untuned_against_tuned",
    title="One learning rate for all, and after the search",
    caption="Test accuracy on the embedded AV-MNIST with the preset's learning rate (0.005) and "
    "every method's own default option, and with what the same search chose for each; mean and "
    "95 % interval over 10 seeds.",
    needs=f"methods_{DEFAULT_DATASET}",
    beside=(f"untuned_{DEFAULT_DATASET}",),
    draw=_before_after,
    describe=lambda *frames: plots.before_and_after_alt(before_after(*frames)),
)

ITEMS = (DIAL, UNTUNED)
