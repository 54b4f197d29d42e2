"""What the dial of the site draws: gains over joint training at every level of noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msam_lib.figures.dial import LEVEL, dial_table
from msam_lib.figures.registry import ITEMS
from msam_lib.results import load
from msam_lib.results.gains import clear

WORDS = {"fused": "whole model", "weakest": "weakest modality alone"}


def dial(data: Path) -> dict[str, Any]:
    """Levels with the dominant modality, its share (percent), and every method's gain: [points,
    half-width of the 95 % interval, whether it is clear].
    """
    item = ITEMS["dial"]
    table = dial_table(*(load(name, data) for name in item.sources))
    levels = []
    bold = {short: clear(table, short) for short in WORDS}
    for level, rows in table.groupby("level"):
        first = rows.iloc[0]
        methods = [
            {"name": row["name"]}
            | {
                words: [
                    round(float(row[short]), 1),
                    round(float(row[f"{short}_half"]), 1),
                    bool(bold[short][k]),
                ]
                for short, words in WORDS.items()
            }
            for k, row in rows.iterrows()
        ]
        levels.append(
            {
                "name": LEVEL.format(level),
                "dominant": first["dominant"],
                "share": round(float(first["share"])),
                "methods": methods,
            }
        )
    seeds = int(table["n"].max())
    notes = [
        f"avmnist_mini, late; mean over {seeds} seeds; lines: 95 % intervals with the luck of both "
        "searches; filled: clear after Holm's correction."
    ]
    return {"levels": levels, "quantities": list(WORDS.values()), "notes": notes}
