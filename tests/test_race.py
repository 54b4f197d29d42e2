"""The moving picture: bars by hand, the last epoch where nothing moves, valid SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from msam_lib.errors import MsamError
from msam_lib.plots.moving import HOLD
from msam_lib.plots.race import race

CURVES = {"One & only": {"audio": [10.0, 20.0, 30.0], "visual": [10.0, 50.0, 70.0]}}
ALONE = {"audio": 40.0, "visual": 60.0}


def test_bars_by_hand():
    text = race(CURVES, ALONE, title="T", alt="A <b>").to("svg")
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == "A <b>" and "One &amp; only" in text
    bars = re.findall(r"@keyframes bar\d+\{(.*?)\}\}", text)
    shares = [[float(x) for x in re.findall(r"scaleX\(([\d.]+)\)", b)] for b in bars]
    # 10, 20, 30 of 40 and 10, 50, 70 (no further than the end) of 60; then they stand.
    assert shares[0] == pytest.approx([0.25, 0.5, 0.75, 0.75])
    assert shares[1] == pytest.approx([1 / 6, 5 / 6, 1.0, 1.0], abs=1e-4)
    assert [float(x) for x in re.findall(r"([\d.]+)%\{transform", bars[0])] == pytest.approx(
        [0, 50 * (1 - HOLD), 100 * (1 - HOLD), 100]
    )


def test_where_nothing_moves_the_last_epoch_stands():
    text = race(CURVES, ALONE, title="T", alt="A").to("svg")
    assert re.findall(r"\.(e\d)\{opacity:1;", text) == ["e2"]
    assert 'transform="scale(0.7500 1)"' in text and "prefers-reduced-motion" in text
    assert "30 % of 40 %" in text and "epoch 2 of 2" in text


def test_unequal_curves_are_refused():
    uneven = {"A": {"audio": [1.0, 2.0], "visual": [1.0, 2.0, 3.0]}}
    with pytest.raises(MsamError, match=r"Curves of \[2, 3\] epochs"):
        race(uneven, ALONE, title="T", alt="A")
    with pytest.raises(MsamError, match="format"):
        race(CURVES, ALONE, title="T", alt="A").to("png")
