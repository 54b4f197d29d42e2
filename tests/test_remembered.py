"""Functions of frames that keep their last results."""

from __future__ import annotations

import pandas as pd

from msam_lib.results.remembered import remembered


def test_the_same_objects_are_computed_once_and_equal_ones_anew():
    calls = []

    @remembered(2)
    def rows(frame, word):
        calls.append(word)
        return len(frame)

    a, b = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1, 2]})
    assert [rows(a, "p"), rows(a, "q"), rows(a, "p"), rows(a, "q")] == [2] * 4
    assert calls == ["p", "q"]
    assert rows(b, "p") == 2 and calls == ["p", "q", "p"]  # equal, but another object
    rows(a, "p")  # was pushed out by b
    assert calls == ["p", "q", "p", "p"]
