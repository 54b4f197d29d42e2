"""The search for learning rates: frozen trial by trial, and drawn."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.search import freeze_search
from msam_lib.figures import registry as paper
from msam_lib.figures.search import searches
from msam_lib.plots.search import best_by_rate, search_alt, search_curves
from msam_lib.results.frozen import load


def choice(trials, **more):
    """One method's entry in the file of choices; trials of (lr, options, accuracy)."""
    names = ("lr", "method_options", "val_accuracy")
    listed = [dict(zip(names, t, strict=True)) for t in trials]
    return {"trials": listed, "seeds": [100], "preset": "teach", "commit": "abc"} | more


@pytest.fixture
def trials(tmp_path):
    """Two methods on AV-MNIST whose preset has the learning rate 0.02, frozen and read again."""
    encoder = {"reading": "encoder"}
    choices = {
        "joint": choice([(0.04, {}, 0.6), (0.02, {}, 0.7), (0.01, {}, 0.75)]),
        "msam:reading=encoder": choice(
            [(lr, encoder | {"rho": rho}, lr * 10 + rho) for lr in (0.04, 0.02) for rho in (0, 0.2)]
        ),
    }
    (tmp_path / "avmnist-late.json").write_text(json.dumps(choices))
    return load(freeze_search(tmp_path, tmp_path).name.removesuffix(".csv.gz"), tmp_path)


def test_every_trial_is_frozen_with_its_rate_and_option(trials):
    assert len(trials) == 7 and set(trials["preset_lr"]) == {0.02}
    own = trials[trials["label"] == "msam:reading=encoder"]
    assert own["option"].tolist() == ["0", "0.2", "0", "0.2"]  # not the option the row is named by
    assert set(own["method"]) == {"msam"} and set(trials["seed"]) == {100}
    record = trials.attrs["provenance"]
    assert record["commit"] == ["abc"] and list(record["made from"]) == ["avmnist-late.json"]
    assert Experiment.preset("teach", dataset="avmnist").lr == 0.02


def test_the_best_option_at_each_rate(trials):
    table = best_by_rate(trials)
    assert table["msam:reading=encoder"].dropna().tolist() == pytest.approx([0.4, 0.6])
    assert table["joint"].tolist() == [0.75, 0.7, 0.6]


def test_a_line_per_method_and_its_choice_marked(trials):
    found, names = searches(trials)
    (ax,) = search_curves(found, names).axes
    lines = [x for x in ax.lines if len(x.get_xdata()) > 2]
    assert list(lines[0].get_ydata()) == pytest.approx([75, 70, 60])
    marked = [(float(x.get_xdata()[0]), float(x.get_ydata()[0])) for x in ax.lines
              if len(x.get_ydata()) == 1]  # fmt: skip
    assert marked[0] == (0.01, pytest.approx(75)) and marked[1] == (0.04, pytest.approx(60))
    assert max(y for _, y in marked) < ax.get_ylim()[1]
    told = search_alt(found, names)
    assert "Joint training 70.0 and 75.0 % (at 0.01)" in told
    assert "M-SAM (encoder) 40.0 and 60.0 % (at 0.04)" in told


def test_the_item_shows_one_data_set(trials):
    item = paper.ITEMS["search_avmnist"]
    other = trials.assign(dataset="digits", value=0.0)
    shown = item.select(pd.concat([trials, other]))
    assert set(shown["dataset"]) == {"avmnist"} and "one seed" in item.caption
