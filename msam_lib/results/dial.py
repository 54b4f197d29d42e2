"""Gains over joint training as one modality is made harder: when does balancing pay?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from msam_lib.labels import Comparison, parse_setting
from msam_lib.results.gains import BASELINE, gains
from msam_lib.results.rows import one_epoch_per_run


def dial(
    frames: Mapping[str, pd.DataFrame],
    search: pd.DataFrame,
    labels: Sequence[str],
    *,
    option: str,
    usual: float,
    fusion: str = "late",
) -> pd.DataFrame:
    """What some methods gain over tuned joint training in every setting of a data set.

    Args:
        frames: {setting: frozen comparison}, such as `avmnist_mini@snr_db=-6`.
        search: frozen trials of every search.
        labels: of the methods beside joint training.
        option: of the data set that the settings change.
        usual: its value in a setting that does not name it.
        fusion: its name.

    Returns:
        A row per setting and method, by rising option and in the order of `labels`: the columns of
        `gains` (p values adjusted for these methods), and setting, level (the option's value),
        dominant (the modality with the largest share of the accuracy under joint training), share
        (that share in percent, mean over seeds).
    """
    parts = []
    for setting, frame in frames.items():
        rows = frame[(frame["fusion"] == fusion) & frame["label"].isin([BASELINE, *labels])]
        table = gains(rows, search, Comparison(setting, fusion))
        table = table.sort_values("label", key=lambda s: s.map(list(labels).index))
        shares = dominance(rows)
        parts.append(
            table.assign(
                setting=setting,
                level=float(parse_setting(setting)[1].get(option, usual)),
                dominant=shares.idxmax(),
                share=shares.max(),
            )
        )
    return pd.concat(parts, ignore_index=True).sort_values("level", kind="stable")


def dominance(frame: pd.DataFrame, label: str = BASELINE) -> pd.Series:
    """{modality: its Shapley share of the test accuracy in percent at the reported epoch, mean over
    seeds} of one method.
    """
    rows = one_epoch_per_run(frame[frame["label"] == label])
    rows = rows[(rows["split"] == "test") & (rows["metric"] == "contribution")]
    return 100 * rows.groupby("modality")["value"].mean()
