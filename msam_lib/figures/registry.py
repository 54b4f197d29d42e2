"""The registry of every figure and table that this project regenerates; `build_all` draws them.

Products are drawn from frozen results (`figures/data`) alone. `manifest.json` records from which
data and with which code, so `build_all(check=True)` finds stale ones without drawing. No torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from msam_lib.figures import (
    claims_list,
    comparison,
    costs,
    dial,
    elsewhere,
    embedded,
    encoders,
    features,
    gain_cost,
    gains,
    gains_summary,
    label_noise,
    overlays,
    paired,
    paper_tables,
    race,
    ranks,
    search,
    surfaces,
)
from msam_lib.figures.build import build
from msam_lib.figures.item import FigureItem

ITEMS: dict[str, FigureItem] = {
    item.name: item
    for item in (
        *embedded.ITEMS,
        *surfaces.ITEMS,
        *paper_tables.ITEMS,
        *comparison.ITEMS,
        *overlays.ITEMS,
        *paired.ITEMS,
        *gains.ITEMS,
        *elsewhere.ITEMS,
        *gains_summary.ITEMS,
        ranks.ITEM,
        gain_cost.ITEM,
        *dial.ITEMS,
        *label_noise.ITEMS,
        *encoders.ITEMS,
        search.ITEM,
        costs.ITEM,
        features.ITEM,
        claims_list.ITEM,
        race.ITEM,
    )
}


def build_all(
    names: Iterable[str] | None = None,
    out: str | os.PathLike[str] = "figures",
    check: bool = False,
    size: str = "paper",
) -> list[str]:
    """Draw items from frozen results, or list those that are stale.

    Writes `<name>.pdf`, `.svg` and `.png` for figures, `.md`, `.tex`, `.csv` and `.html` for
    tables, and `manifest.json`. Frozen results are read from `<out>/data` where it has them.

    Args:
        names: the items; by default all whose frozen results are here.
        out: folder of the products.
        check: draw nothing; an item is stale where a product is missing, or where data that it
            reads or a module that it imports has changed since it was drawn.
        size: of figures, `"paper"` or `"slide"` (16:9).

    Returns:
        Names of the items drawn, or (check) of those that are stale.

    Raises:
        MsamError: an unknown name or size, or no frozen results.
    """
    return build(ITEMS, names, out, check, size)
