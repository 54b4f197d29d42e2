"""Surfaces that can be turned in a notebook: the data are whole, the output small."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib

import numpy as np
import pytest

from msam_lib.errors import MsamError
from msam_lib.interactive.viewer import (
    SCRIPTS,
    STATIC,
    STYLE,
    fragment,
    surface_data,
    surface_viewer,
)
from msam_lib.results import load
from msam_lib.results.landscape import Landscape, surfaces_by_block
from tools import explore_pages
from tools.build_notebooks import MAX_OUTPUT


def bowls(points=11):
    x = np.linspace(-1, 1, points)
    bowl = x[:, None] ** 2 + 2 * x[None] ** 2 + np.pi
    return {f"bowl {k}": Landscape(x, x, k * bowl) for k in (1, 2, 3)}


def data_of(viewer):
    html = viewer.content["text/html"]
    (inside,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(inside)


def test_the_surfaces_are_the_planes():
    planes = bowls()
    part = data_of(surface_viewer(planes, every=1, notes=["Of a <toy>."]))
    assert part["start"] == ["bowl 1", "bowl 2"] and part["notes"] == ["Of a <toy>."]
    for drawn, (name, plane) in zip(part["planes"], planes.items(), strict=True):
        assert drawn["name"] == name
        assert np.array(drawn["loss"]) == pytest.approx(plane.loss, abs=6e-4)
        assert drawn["centre"] == pytest.approx(plane.at_origin, abs=6e-4)
        assert drawn["rise"] == pytest.approx(plane.rise(), abs=6e-4)
    lowest, highest = planes["bowl 1"].loss.min(), planes["bowl 3"].loss.max()
    assert (part["low"], part["high"]) == pytest.approx((lowest, highest))
    assert data_of(surface_viewer(planes, ceiling=4.0))["high"] == 4.0


@pytest.mark.parametrize(
    ("points", "every", "kept"),
    [
        (11, 2, [0, 1, 3, 5, 7, 9, 10]),  # the centre is number 5
        (9, 2, [0, 2, 4, 6, 8]),
        (11, 4, [0, 1, 5, 9, 10]),
        (11, 1, list(range(11))),
    ],
)
def test_centre_and_borders_stay(points, every, kept):
    plane = bowls(points)["bowl 1"]
    (drawn, *_) = surface_data({"a": plane}, ["a"], every=every)["planes"]
    assert drawn["x"] == drawn["y"] == pytest.approx(plane.x[kept], abs=6e-4)
    assert np.array(drawn["loss"]) == pytest.approx(plane.loss[np.ix_(kept, kept)], abs=6e-4)


def test_a_loss_that_is_not_finite_stands_at_the_top():
    plane = bowls()["bowl 1"]
    plane.loss[0, 0], plane.loss[0, 1] = np.inf, np.nan
    part = surface_data({"a": plane}, ["a"])
    assert part["planes"][0]["loss"][0][:2] == [round(part["high"], 3)] * 2
    assert part["planes"][0]["rise"] is None
    assert "NaN" not in fragment("landscape", part)


def test_the_output_needs_nothing_else_and_has_a_still_twin():
    content = surface_viewer(bowls())._repr_mimebundle_()
    html = content["text/html"]
    for name in (*SCRIPTS, STYLE):
        assert (STATIC / name).read_text(encoding="utf-8") in html
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert f'<img alt="{content["text/plain"]}" src="data:image/png;base64,' in html
    assert html.count("<script") == html.count("</script>") == 2
    assert "bowl 3: loss 9.42 in the centre" in content["text/plain"] and content["image/png"]


def test_the_surfaces_of_figure_1_are_small_enough_for_a_notebook():
    frozen = surfaces_by_block(load("surfaces_late_avmnist_mini"))
    viewer = surface_viewer({name: blocks["all"] for name, blocks in frozen.items()}, ceiling=4.0)
    assert sum(map(len, viewer.content.values())) < MAX_OUTPUT
    assert len(data_of(viewer)["planes"][0]["x"]) == 27  # of 51


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": ["bowl 4"]}, "bowl 4"),
        ({"start": ["bowl 1", "bowl 2", "bowl 3"]}, "room for one or two"),
        ({"every": 0}, "every=0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        surface_viewer(bowls(), **options)
    with pytest.raises(MsamError, match="No landscape"):
        surface_viewer({})


def test_scripts_and_style_are_in_the_wheel_and_on_the_site(tmp_path):
    project = tomllib.loads((explore_pages.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["msam_lib.interactive"]
    explore_pages.copy_static(tmp_path)
    for path in STATIC.iterdir():
        assert any(fnmatch.fnmatch(f"static/{path.name}", p) for p in patterns)
        assert (tmp_path / path.name).is_file()
        assert not (explore_pages.STATIC / path.name).exists()  # there is one of each
