"""The tables of paired differences hold the differences of made-up results."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from msam_lib.errors import MsamError
from msam_lib.figures.paired import ITEMS, PAIRS, paired_table
from msam_lib.results.comparison import FUSED, WEAKEST, compared
from msam_lib.results.frame import COLUMNS

SEEDS = 5
# accuracy (%) of each method: of the whole model, of the strong and of the weak modality
LEVELS = {"joint": (70, 60, 20), "sam": (71, 61, 18), "msam": (74, 60, 25)}


def searched(**largest):
    """A frozen search on the made-up data: {method: its largest learning rate}."""
    rows = [("made", "late", label, rate, label) for label, rate in largest.items()]
    return pd.DataFrame(rows, columns=["dataset", "fusion", "label", "lr", "run"])


EVEN = searched(joint=0.2, sam=0.2)


@pytest.fixture
def frame():
    """Three methods on one data set, all seeds shifted by the same amounts for every method."""
    rows = []
    for label, levels in LEVELS.items():
        for seed in range(SEEDS):
            for modality, level in zip(("fused", "strong", "weak"), levels, strict=True):
                wobble = 0.1 * seed * (label == "sam")
                rows.append(
                    dict.fromkeys(COLUMNS, "")
                    | {"dataset": "made", "fusion": "late", "label": label, "method": label}
                    | {"run": f"{label}{seed}", "seed": seed, "epoch": 1, "step": 1}
                    | {"split": "test", "modality": modality, "metric": "accuracy"}
                    | {"value": (level + seed + wobble) / 100}
                )
    return pd.DataFrame(rows)


def cell(table, row):
    return {r.name: r.cells[0] for r in table.rows}[row]


def test_cells_are_paired_differences(frame):
    table = paired_table(frame, EVEN)
    assert table.columns == ("made, late",)
    clear = cell(table, "M-SAM - Joint training")
    assert clear.mean == pytest.approx(4) and clear.half == pytest.approx(0, abs=1e-9)
    assert clear.n == SEEDS and clear.rank == 1
    # mean of 0, .1, .2, .3, .4 above 1; t_4 = 2.7764, s = 0.1581
    other = cell(table, "SAM - Joint training")
    assert other.mean == pytest.approx(1.2)
    assert other.half == pytest.approx(
        2.7764 * np.std(np.arange(5) / 10, ddof=1) / np.sqrt(5), 1e-4
    )
    assert cell(table, "M-SAM - SAM").mean == pytest.approx(2.8)


def test_an_interval_around_zero_is_not_bold(frame):
    wide = (frame["label"] == "sam") & (frame["seed"] == 0)
    frame.loc[wide, "value"] -= 0.2
    assert cell(paired_table(frame, EVEN), "SAM - Joint training").rank == 0


def test_the_weakest_modality_is_joint_trainings_lowest(frame):
    found = compared(frame, WEAKEST)["made", "late"]
    assert found.loc["joint"].mean() == pytest.approx(22)
    assert cell(paired_table(frame, EVEN, WEAKEST), "M-SAM - Joint training").mean == pytest.approx(
        5
    )
    assert compared(frame, FUSED)["made", "late"].loc["joint"].mean() == pytest.approx(72)


def test_methods_that_are_not_there_leave_their_cells_empty(frame):
    table = paired_table(frame, EVEN)
    assert len(table.rows) == len(PAIRS)
    assert cell(table, "MASAM - M-SAM").text == "—"


def test_alternative_texts_count_the_clear_differences(frame):
    for item in ITEMS:
        text = item.alt({"methods": frame, "search": EVEN})
        assert "M-SAM - Joint training: above in 1, below in 0 of 1" in text
        assert "MASAM - M-SAM: above in 0, below in 0 of 0" in text


def test_of_several_epochs_the_one_chosen_on_validation_counts(frame):
    later = frame.assign(epoch=2, value=frame["value"] + 0.1)
    val = pd.concat([frame, later]).assign(split="val")
    val["value"] = val["value"].where(val["epoch"] == 1, 0)  # epoch 1 is the better one
    whole = pd.concat([frame, later, val])
    assert compared(whole)["made", "late"].loc["joint"].mean() == pytest.approx(72)
    with pytest.raises(MsamError, match="validation"):
        compared(pd.concat([frame, later]))


def test_an_uneven_search_is_named_below_the_table(frame):
    uneven = searched(joint=0.2, sam=0.1)
    assert not any("made, late" in note for note in paired_table(frame, EVEN).notes)
    assert any("made, late" in note for note in paired_table(frame, uneven).notes)
