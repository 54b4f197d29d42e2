"""Moving pictures: their values are those of the data, and they stand still where asked to."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from msam_lib.errors import MsamError
from msam_lib.interactive.course import EXTENT, climbed, descend, slope, two_valleys
from msam_lib.plots.descent import HEIGHT, descent
from msam_lib.plots.moving import HOLD, drawing
from msam_lib.plots.race import race

SVG = "{http://www.w3.org/2000/svg}"


def falling(**options):
    ways = {
        "A & B": [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0],
        "SAM": [4.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0],
    }
    given = {"extent": (0.0, 4.0), "title": "T", "alt": "A <b>", "every": 2} | options
    return descent(lambda x: 2 - x / 2, ways, **given)


def moves(svg, name):
    """Pixels (T, 2) and times (T,) of a runner."""
    (inside,) = re.findall(rf"@keyframes move{name}\{{(.*?)\}}\}}", svg)
    found = re.findall(r"([\d.]+)%\{transform:translate\(([-\d.]+)px,([-\d.]+)px\)", inside)
    steps = np.array(found, dtype=float)
    return steps[:, 1:], steps[:, 0]


def test_the_ball_is_where_the_weights_are():
    """On a straight line from (0, 2) to (4, 0), the corners of the panel."""
    svg = falling().svg
    root = ElementTree.fromstring(svg)
    panels = root.findall(f"{SVG}g")
    assert len(panels) == 2 and root.get("aria-label") == "A <b>" and "A &amp; B" in svg
    width = float(panels[0].find(f"{SVG}line").get("x2"))
    places, times = moves(svg, "ball0")
    # Every second weight, 0 to 3, and once more for the hold.
    shares = np.array([0, 1, 2, 3, 3]) / 4
    assert places == pytest.approx(np.stack([width * shares, HEIGHT * shares], 1), abs=0.06)
    assert times == pytest.approx([*np.linspace(0, 100 * (1 - HOLD), 4), 100], abs=0.01)
    assert moves(svg, "ball1")[0][:, 0] == pytest.approx(
        width * np.array([4, 2, 0, 2, 2]) / 4, abs=0.06
    )
    said = [t.text for t in panels[1].findall(f"{SVG}text") if "now" in t.get("class", "")]
    assert said == [f"weight {w}.00, loss {2 - w / 2:.2f}" for w in (4, 2, 0, 2)]
    assert "step 4 of 6" in svg


def test_the_gradient_is_taken_where_sam_has_climbed():
    way = descend(-0.5, 0.02, 0.8, 40)
    there = climbed(way, 0.8)
    assert np.abs(there - way) == pytest.approx(0.8)
    assert (np.sign(there - way) == [np.sign(slope(x)) for x in way]).all()
    assert way[1:] == pytest.approx(
        [w - 0.02 * slope(t) for w, t in zip(way, there, strict=True)][:-1]
    )
    rings = falling(probes={"SAM": [3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0]}).svg
    ring, ball = (moves(rings, f"{kind}1")[0][:, 0] for kind in ("ring", "ball"))
    # One to the left of the ball, but for the last two moments: one to the right.
    quarter = ball[0] / 4
    assert (ring - ball) / quarter == pytest.approx([-1, -1, 1, 1, 1], abs=0.01)
    assert "movering0" not in rings and "where the gradient is taken" in rings


def pictures():
    curves = {"One": {"audio": [10.0, 20.0, 30.0], "visual": [10.0, 50.0, 70.0]}}
    return {
        "descent": falling(probes={"SAM": [3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0]}),
        "race": race(curves, {"audio": 40.0, "visual": 60.0}, title="T", alt="A"),
    }


@pytest.mark.parametrize("name", pictures())
def test_the_still_one_is_the_last_moment(name):
    made = pictures()[name]
    assert "prefers-reduced-motion:reduce" in made.svg and "@keyframes" in made.svg
    assert "animation:" not in made.still and "@keyframes" not in made.still
    root = ElementTree.fromstring(made.still)
    moments = {m for e in root.iter() for m in re.findall(r"\be(\d+)$", e.get("class", ""))}
    (last,) = moments
    assert f".e{last}{{opacity:1}}" in made.still
    # What stands there is what the moving one has there.
    for text in ElementTree.fromstring(made.svg).iter(f"{SVG}text"):
        when = re.findall(r"\be(\d+)$", text.get("class", ""))
        assert (text.text in made.still) or when != [last]
    for element in root.iter(f"{SVG}g"):
        runner = re.match(r"move(\w+)", element.get("class", ""))
        if runner:
            stands = [float(x) for x in re.findall(r"[-\d.]+", element.get("transform"))]
            assert stands == moves(made.svg, runner[1])[0][-1].tolist()


@pytest.mark.parametrize("name", pictures())
def test_a_notebook_gets_an_image_with_words(name):
    made = pictures()[name]
    shown = made._repr_mimebundle_()
    root = ElementTree.fromstring(re.sub(r"(<(?:img|source) [^>]*)>", r"\1/>", shown["text/html"]))
    image, source = root.find("img"), root.find("source")
    assert image.get("alt") == shown["text/plain"] == made.alt
    assert source.get("media") == "(prefers-reduced-motion: reduce)"
    for data, text in ((image.get("src"), made.svg), (source.get("srcset"), made.still)):
        assert base64.b64decode(data.partition("base64,")[2]).decode() == text


def test_the_descent_of_the_notebook_is_small():
    ways = {"Gradient descent": descend(-0.5, 0.02, 0.0, 250), "SAM": descend(-0.5, 0.02, 0.8, 250)}
    probes = {"SAM": climbed(ways["SAM"], 0.8)}
    made = descent(two_valleys, ways, probes=probes, extent=EXTENT, title="T", alt="A")
    assert len(made._repr_mimebundle_()["text/html"]) < 60_000


def test_wrong_pictures_are_refused():
    with pytest.raises(MsamError, match=r"Ways of \[7\] weights.*every=7"):
        falling(every=7)
    with pytest.raises(MsamError, match=r"Ways of \[3, 7\]"):
        falling(probes={"SAM": [1.0, 2.0, 3.0]})
    with pytest.raises(MsamError, match="alt is empty"):
        drawing([], title="T", alt=" ", style="", moves="", moments=2, height=9)
    with pytest.raises(MsamError, match="format"):
        falling().to("png")
