"""Every picture drawn from the frozen results: few panels, none empty, two sizes, also in grey."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from msam_lib import plots
from msam_lib.cli.main import main
from msam_lib.errors import MsamError
from msam_lib.figures.registry import ITEMS
from msam_lib.plots import comparison, overlay, series, style
from msam_lib.plots._labels import spread
from msam_lib.results.frozen import load

PICTURES = [n for n, item in ITEMS.items() if "png" in item.kinds]
MOST = 8  # panels that can be read in the width of a page


def panels_of(figure: Figure) -> list:
    """The panels of a figure: what is visible, without colour bars and notes beside a panel."""
    return [
        ax
        for ax in figure.axes
        if ax.get_visible() and ax.get_label() != "<colorbar>" and (ax.axison or ax.name == "3d")
    ]


def pixels(figure: Figure) -> np.ndarray:
    """The picture as drawn, (height, width, 4)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def empty_panels(figure: Figure) -> list[int]:
    """Numbers of the panels whose pixels stay the same without their lines, points and areas."""
    figure.set_dpi(60)
    shown = panels_of(figure)
    with_data = pixels(figure)
    height = with_data.shape[0]
    boxes = [ax.get_window_extent().extents.round().astype(int) for ax in shown]
    figure.set_layout_engine("none")  # nothing may move
    for ax in shown:
        for artist in (*ax.lines, *ax.collections, *ax.patches, *ax.images):
            artist.set_visible(False)
    without = pixels(figure)
    found = []
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        part = np.s_[height - y1 : height - y0, x0:x1]
        if np.array_equal(with_data[part], without[part]):
            found.append(k)
    return found


@pytest.fixture(scope="module")
def frames():
    return {s: load(s) for name in PICTURES for s in ITEMS[name].sources}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_few_panels_and_none_is_empty(frames, name):
    figure = ITEMS[name].build(frames)
    assert 1 <= len(panels_of(figure)) <= MOST, f"{name} has too many panels to be read."
    assert empty_panels(figure) == []


def test_an_empty_panel_is_found():
    figure = Figure(layout="constrained")
    full, _, outside = figure.subplots(1, 3)
    full.plot([0, 1], [0, 1])
    outside.plot([0, 1], [0, 1])
    outside.set(xlim=(5, 6))  # drawn, but nobody sees it
    assert len(panels_of(figure)) == 3
    assert empty_panels(figure) == [1, 2]


# --- sizes ----------------------------------------------------------------------------------------


def test_a_slide_is_wide_and_keeps_its_text(tmp_path):
    def drawn() -> Figure:
        figure, (ax,) = style.panels(1)
        ax.plot([0, 1], [0, 1])
        return figure

    paper, slide = drawn(), drawn()
    (one,) = plots.save(paper, tmp_path / "paper", ["png"])
    (two,) = plots.save(slide, tmp_path / "slide", ["png"], size="slide")
    assert Image.open(one).width == round(300 * style.TEXT_WIDTH)
    assert Image.open(two).size == (1920, 1080)
    # Text of 8 points is at least a fortieth of the height.
    assert slide.get_size_inches()[1] * 72 / 8 <= 40
    with pytest.raises(MsamError, match="Did you mean 'slide'"):
        plots.save(paper, tmp_path / "x", ["png"], size="slides")


def test_slides_are_drawn_beside_the_reference_without_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["figures", "strong_versus_weak", "--size", "slide"]) == 0
    picture = tmp_path / "figures" / "slides" / "strong_versus_weak.png"
    assert Image.open(picture).size == (1920, 1080)
    assert not (tmp_path / "runs").exists() and not (tmp_path / "figures" / "own").exists()
    assert main(["figures", "strong_versus_weak", "--size", "slide", "--check"]) == 0


# --- grey -----------------------------------------------------------------------------------------


def grey(color: str) -> float:
    """The lightness in [0, 100] of a colour printed in grey (CIE L*)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in mpl.colors.to_rgb(color)
    ]
    y = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


# {palette: its (colour, everything else that tells entries apart)}
PALETTES = {
    "modalities": [(k.color, k.marker) for k in (*style.LOOKS.values(), *style.SPARE, style.FUSED)],
    "kinds": list(comparison.KIND_STYLES.values()),
    "series": [tuple(series.cycled(k).values()) for k in range(8)],
    "overlay": [(k.color, k.marker) for k in overlay.LOOKS],
    "lines": [(k["color"], (k["linestyle"], k["marker"])) for k in series.dashed()],
}


@pytest.mark.parametrize("name", PALETTES)
def test_palettes_can_be_told_apart_in_grey(name):
    entries = PALETTES[name]
    close = [
        (a, b)
        for a, b in itertools.combinations(entries, 2)
        if abs(grey(a[0]) - grey(b[0])) < 15 and a[1] == b[1]
    ]
    assert not close, "Colours that look alike in grey need another marker or dash."
    assert all(grey(color) < 80 for color, _ in entries), "Too light on white."


def test_lightness_of_the_ends_of_the_scale():
    assert grey("white") == pytest.approx(100, abs=0.01) and grey("black") == 0
    assert grey("#777777") == pytest.approx(50, abs=0.5)


# --- names ----------------------------------------------------------------------------------------


def test_names_of_points_do_not_touch_markers(frames):
    figure = ITEMS["gain_against_cost"].build(frames)
    FigureCanvasAgg(figure).draw()
    for ax in panels_of(figure):
        points = np.vstack([c.get_offsets() for c in ax.collections if len(c.get_offsets())])
        at = ax.transData.transform(points)
        radius = 2.5 / 72 * figure.dpi  # of the markers
        for text in ax.texts:
            box = Text.get_window_extent(text)  # without the line to its point
            touched = (at[:, 0] > box.x0 - radius) & (at[:, 0] < box.x1 + radius)
            touched &= (at[:, 1] > box.y0 - radius) & (at[:, 1] < box.y1 + radius)
            assert not touched.any(), f"{text.get_text()} lies on a marker."


def test_names_at_the_ends_of_lines_keep_apart():
    rng = np.random.default_rng(0)
    for count in (1, 2, 5):
        at = np.sort(rng.uniform(0, 1, count))
        placed = spread(at, 0.1)
        assert (np.diff(placed) >= 0.1 - 1e-6).all()
        assert placed.min() >= 0 and placed.max() <= 1
    assert spread(np.array([0.1, 0.5]), 0.1).tolist() == [0.1, 0.5]  # nothing moves without need
