"""The figure and the table of what is inside the encoders, on made-up measurements."""

from __future__ import annotations

import pytest

from msam_lib.figures.encoders import encoders_table, finding, traces
from tests.test_claims_encoders import made


def test_the_growth_in_words():
    # x1 grows from 1 to 4, x2 from 1 to 2; the start, at 100, does not count
    assert finding(made()).endswith("x1's to 4.0 times, x2's to 2.0 times")


def test_rows_of_traces_are_those_of_a_probe():
    rows = traces(made())
    assert set(rows["metric"]) == {"hessian_trace"} and set(rows["split"]) == {"probe"}


def test_the_table_holds_the_last_epoch_in_its_units():
    table = encoders_table(made())
    assert [row.name for row in table.rows] == ["Joint training", "MASAM"]
    cells = dict(zip(table.columns, table.rows[0].cells, strict=True))
    assert cells["x2: largest eigenvalue"].mean == pytest.approx(7)
    assert cells["x1: linear probe (%)"].mean == pytest.approx(51)  # of 50, 51 and 52
    assert cells["x1: margin (points)"].mean == pytest.approx(10)
    assert cells["x1: linear probe (%)"].half == pytest.approx(2.484, abs=1e-3)
