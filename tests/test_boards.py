"""What notebooks show of objects: values by hand, text escaped, no path of the machine."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import torch

from msam_lib._utils import boards
from msam_lib.contributions.measure import Contributions
from msam_lib.experiments.experiment import Experiment
from msam_lib.training import History, Record, Run


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{text}</div>")


def history(values=(0.1, 0.5, 0.9)) -> History:
    found = History()
    found.extend(
        Record(epoch, epoch, "test", m, "accuracy", v / (1 if m == "fused" else 2))
        for epoch, v in enumerate(values)
        for m in ("audio", "fused")
    )
    return found


def test_curves_by_hand():
    text = boards.curves("a < b", {"fused": [0.0, 0.5, 1.0], "audio": [0.5, 0.5, float("nan")]})
    root = parsed(text)
    lines = [e.get("points") for e in root.iter("polyline")]
    w, h = boards.WIDTH, boards.HEIGHT
    assert lines[0] == f"0.0,{h:.1f} {w / 2:.1f},{h / 2:.1f} {w:.1f},0.0"
    assert lines[1] == f"0.0,{h / 2:.1f} {w / 2:.1f},{h / 2:.1f}"
    assert next(root.iter("svg")).get("aria-label") == "a < b"
    assert boards.curves("x", {"one": [1.0]}) == ""


def test_names_at_the_ends_do_not_touch():
    root = parsed(boards.curves("x", {str(k): [0.0, 0.9 + k / 100] for k in range(4)}))
    at = sorted(float(e.get("y")) for e in root.iter("text"))
    assert all(b - a >= 12 for a, b in pairwise(at))


def test_a_history_shows_its_last_values_the_whole_model_first():
    text = history()._repr_html_()
    assert re.findall(r'row">(\w+)</th><td>([\d.]+)', text) == [
        ("fused", "0.900"),
        ("audio", "0.450"),
    ]
    assert repr(history()) == "History(6 measurements, 2 epochs)"
    assert "<" not in repr(History()) and "0 measurements" in History()._repr_html_()


def test_a_run_shows_what_it_is_and_no_path(tmp_path):
    run = Run.create(tmp_path / "toy", Experiment(method="msam", seed=3).config(), {})
    (run.path / "metrics.csv").write_text(history().text())
    text = run._repr_html_()
    assert "0.900" in text and "<svg" in text
    assert "msam" in text and str(tmp_path) not in text and "started" in text
    (run.path / "config.json").write_text("{")
    assert "toy" in run._repr_html_()


def test_an_experiment_shows_what_is_not_usual():
    text = Experiment(method="sam", method_options={"rho": 0.1}, width=8)._repr_html_()
    names = [e.text for e in parsed(text).iter("th")]
    assert {"dataset", "method", "method_options", "width"} <= set(names)
    assert "momentum" not in names and "optimizer" not in names


def test_contributions_show_bars_as_long_as_their_shares():
    one = Contributions(
        ("a", "b"), torch.tensor([0.3, 0.1]), torch.tensor([0.75, 0.25]),
        torch.tensor(0.9), torch.tensor(0.5), torch.tensor([0.0, 0.02]),
    )  # fmt: skip
    text = one._repr_html_()
    assert re.findall(r"height:.9em;width:([\d.]+)%", text) == ["75.0", "25.0"]
    assert "75.0 % (phi +0.300)" in text and "± 0.020" in text
