"""Colours, contrast, and files that are the same every time."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from msam_lib import plots
from msam_lib.errors import MsamError
from msam_lib.plots import style
from tests import fabricated


def test_palette_is_fixed_for_known_and_distinct_for_other_names():
    looks = style.palette(["fused", "text", "visual", "audio"])
    assert list(looks) == ["audio", "visual", "text", "fused"]
    assert looks["audio"] == style.LOOKS["audio"] and looks["fused"] == style.FUSED
    many = style.palette([f"x{i}" for i in range(7)] + ["fused"])
    assert len({(k.color, k.marker) for k in many.values()}) == 8
    assert style.palette(["video", "speech"])["video"] == style.LOOKS["visual"]
    assert len(set(style.palette(["image", "video"]).values())) == 2


@pytest.mark.parametrize("look", [*style.LOOKS.values(), *style.SPARE, style.FUSED])
def test_colours_stand_out_on_white(look):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in mpl.colors.to_rgb(look.color)
    ]
    assert 1.05 / (np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05) >= 3


def test_saving_twice_gives_the_same_bytes(tmp_path):
    frame = fabricated.results(labels=["joint"])
    one = plots.save(plots.contribution_curves(frame), tmp_path / "one")
    two = plots.save(plots.contribution_curves(frame), tmp_path / "two")
    assert [p.suffix for p in one] == [".pdf", ".svg", ".png"]
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    assert "Joint training" in one[1].read_text()  # text stays text
    with pytest.raises(MsamError, match="jpg"):
        plots.save(plots.contribution_curves(frame), tmp_path / "x", ["jpg"])
