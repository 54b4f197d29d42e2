"""Which comparisons were searched by the protocol, and the summary confined to them."""

from __future__ import annotations

import pandas as pd

from msam_lib.labels import Comparison
from msam_lib.results.frame import reported_epoch
from msam_lib.results.luck import every_redrawn
from msam_lib.results.remembered import remembered


def searched(search: pd.DataFrame) -> set[Comparison]:
    """The comparisons whose methods were searched with several seeds; an older search has one."""
    return {where for where, _ in every_redrawn(search)}


@remembered(1)  # the ledger and the ranks ask for the same
def by_protocol(
    methods: pd.DataFrame, search: pd.DataFrame, *settings: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of comparisons whose methods were searched with several seeds, settings with options
    among them; and the other rows of the summary, costs too.

    Args:
        methods: the summary of comparisons of whole data sets.
        search: frozen trials of every search.
        *settings: frozen comparisons of data sets with options, which the summary leaves out.
    """
    done = searched(search)
    keys = zip(methods["dataset"], methods["fusion"], strict=True)
    new = pd.Series([key in done for key in keys], methods.index)
    reported = [reported_epoch(f) for f in settings]
    counted = pd.concat([methods[new], *(f[f["split"] == "test"] for f in reported)])
    return counted, methods[~new]
