"""Every method has its authors' update beside it, or a reason why there is none."""

from __future__ import annotations

import pytest

from msam_lib.catalogue import METHODS
from tests.reference import agreements

# Methods whose authors' step could not be read, and why.
UNREAD = {
    "unimodal": "separate models: cross-entropy of each, nothing to compare",
    "modality_dropout": "a control of ours after a common practice",
    "amco": "two ports that disagree; neither equations nor the authors' code were found",
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_stands_beside_its_source(name):
    rows = [row for row in agreements() if row.method == name]
    assert rows or name in UNREAD
    for row in rows:
        assert row.source and row.compared


def test_rows_name_methods():
    assert {row.method for row in agreements()} <= set(METHODS)
