"""Every state of every interactive picture can be drawn and described; raising ones are found."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from msam_lib.diagnostics import Landscape
from msam_lib.errors import MsamError
from msam_lib.interactive import (
    course as explorers_course,
)
from msam_lib.interactive import (
    geometry as explorers,
)
from msam_lib.interactive import (
    results as explorers_results,
)
from msam_lib.interactive import (
    tables as explorers_tables,
)
from msam_lib.interactive.explorer import Explorer
from msam_lib.results.frame import reported_epoch
from msam_lib.results.rows import traced_rows
from msam_lib.results.sharpness import correlations, gaps
from tests import fabricated


def bowls():
    x = np.linspace(-1, 1, 5)
    pairs = itertools.product(["Joint training", "SAM"], ["all weights", "x1 encoder"])
    return {
        key: Landscape(x, x, (k + 1) * (x[:, None] ** 2 + x[None] ** 2), None, {"block": "all"})
        for k, key in enumerate(pairs)
    }


def traced():
    return traced_rows(fabricated.everything())


def game():
    coalitions = [(), ("a",), ("b",), ("a", "b")]
    return {frozenset(c): 0.1 + 0.3 * len(c) for c in coalitions}


def compared():
    """A summary as `comparison.summarise` writes it, with the cost of one method."""
    rows = reported_epoch(
        fabricated.results(labels=("joint", "sam", "msam", "msam:reading=encoder"))
    )
    cost = rows.iloc[:1].assign(
        dataset="cost", label="msam", method="msam", split="cost", metric="step", value=2.05
    )
    return pd.concat([rows, cost], ignore_index=True)


def noisy():
    parts = []
    for noise in (0.0, 0.2):
        rows = fabricated.results(labels=("joint", "msam"))
        parts.append(
            rows.assign(label=rows["label"] + f"@{noise}", value=rows["value"] - noise / 2)
        )
    return pd.concat(parts, ignore_index=True)


MADE = {
    "epochs": lambda: explorers_results.epoch_scrubber(fabricated.results()),
    "methods": lambda: explorers_results.method_browser(compared()),
    "noise": lambda: explorers_results.noise_explorer(noisy()),
    "coalitions": lambda: explorers_course.coalition_explorer(game(), ["a", "b"]),
    "sam": lambda: explorers_course.sam_playground(rhos=(0.0, 0.3), starts=(-0.5, 1.0)),
    "step": lambda: explorers_course.step_explorer(rhos=(0.0, 0.4), shares=(0.5, 1.0)),
    "accord": lambda: explorers_course.accord_explorer(angles=(0, 60, 120), rhos=(0.5,)),
    "landscape": lambda: explorers.landscape_viewer(
        bowls(), elevations=(10, 30), azimuths=(0, 45, 90)
    ),
    "curvature": lambda: explorers.curvature_scrubber(traced()),
    "tables": lambda: explorers_tables.table_explorer({"toy": fabricated.results()}),
    "gap": lambda: explorers.gap_explorer(gaps(fabricated.sharpness())),
}


@pytest.mark.parametrize("name", MADE)
def test_every_state_can_be_drawn_and_described(name):
    explorer = MADE[name]()
    states = list(explorer.states())
    assert len(states) > 1 and explorer.initial in states
    for state in states:
        figure = explorer.draw(**state)
        assert isinstance(figure, Figure) and figure.axes
        figure.canvas.draw()
        assert len(explorer.alt(**state)) > 20
        assert explorer.note is None or "<" in explorer.note(**state)
    assert len({explorer.alt(**s) for s in states}) > 1


@pytest.mark.parametrize("name", MADE)
def test_the_widget_has_every_control(name):
    explorer = MADE[name]()
    box = explorer.widget()
    controls = {c.description: c for c in box.children[0].children}
    for control in explorer.controls:
        title = explorer.titles.get(control, control.replace("_", " "))
        assert controls[title].value == explorer.initial[control]


def test_a_play_button_moves_the_slider():
    explorer = MADE["curvature"]()
    slider, play = explorer.widget().children[0].children
    play.value = 1
    assert slider.value == explorer.controls["epoch"][1]


def test_where_notebooks_are_built_the_first_picture_is_shown(monkeypatch):
    shown = []
    monkeypatch.setattr("msam_lib.interactive.explorer.show", lambda figure, alt: shown.append(alt))
    monkeypatch.setenv("MSAM_STATIC", "1")
    explorer = MADE["gap"]()
    explorer._ipython_display_()
    assert shown == [explorer.alt(**explorer.initial)]


def test_a_raising_draw_function_is_noticed():
    def draw(n):
        raise ValueError("broken")

    explorer = Explorer(draw, {"n": [1, 2]}, lambda n: "x")
    with pytest.raises(ValueError, match="broken"):
        [explorer.draw(**s) for s in explorer.states()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"controls": {"n": []}}, "no values"),
        ({"controls": {"n": [1]}, "start": {"n": 5}}, "is not one of"),
        ({"controls": {"n": [1]}, "play": "m"}, "not a control"),
    ],
)
def test_wrong_controls_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        Explorer(lambda **k: Figure(), alt=lambda **k: "", **options)


def test_gaps_join_each_measure_to_its_runs_gap():
    rows = gaps(fabricated.sharpness())
    assert len(rows) == 2 * 3 * 2 * 2
    joint = rows[(rows["label"] == "joint") & (rows["seed"] == 1)]
    assert set(joint["gap"]) == {8.0}
    # value and gap fall together, seed by seed and method by method
    assert correlations(rows)["keskar"].tau == pytest.approx(1.0)
