"""Names in a crowded scatter plot: no name over another, every name inside the panel."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from msam_lib.plots._labels import _cross, _meets, label_points


@pytest.mark.parametrize("seed", range(5))
def test_names_do_not_cover_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = pd.DataFrame(rng.normal(size=(30, 2)) * [0.1, 1], columns=["x", "y"])
    points["name"] = [f"method {k}" for k in range(30)]
    figure = Figure(figsize=(4, 3))
    ax = figure.subplots()
    ax.scatter(points["x"], points["y"])
    label_points(ax, points.head(8), points)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    panel = ax.get_window_extent()
    boxes = [text.get_bbox_patch().get_window_extent() for text in ax.texts]
    assert len(boxes) == 8
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)
    for box in boxes:
        assert panel.x0 < box.x0 and box.x1 < panel.x1 and panel.y0 < box.y0 and box.y1 < panel.y1


def test_crossings_by_hand() -> None:
    assert _cross(0j, 1 + 1j, 1j, 1 + 0j)
    assert not _cross(0j, 1 + 0j, 1j, 1 + 1j)
    assert not _cross(0j, 0.4 + 0.4j, 1j, 1 + 0j)
    assert _meets(0j, 1 + 1j, (0.4, 0.6, 0.5), 0.1)
    assert not _meets(0j, 1 + 1j, (0.4, 0.6, 0.9), 0.1)
