"""What the interactive parts of the site draw is what was frozen, and it arrives whole."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from msam_lib.contributions.shares import accuracy_shares
from msam_lib.errors import MsamError
from msam_lib.figures.comparison import COMPARISONS
from msam_lib.labels import Comparison
from msam_lib.results import load
from msam_lib.results.coalitions import MIN_IMBALANCE, pair_accuracies
from msam_lib.results.comparison import noise_summary
from msam_lib.results.landscape import landscapes
from tools import explore_data, explore_pages

SAMPLES = 1000


@pytest.fixture(scope="module")
def parts():
    return {name: make(explore_pages.DATA) for name, make in explore_data.PARTS.items()}


def static():
    """{name: path} of the scripts and styles of the site, and of those that notebooks use too."""
    folders = (explore_pages.STATIC, explore_pages.SHARED)
    return {p.name: p for f in folders for p in f.iterdir() if p.suffix in (".js", ".css")}


def frozen(runs):
    """Frozen rows of runs of one label, from how many of the samples each coalition gets right:
    none, a, b, both.
    """
    rows = []
    for seed, counts in enumerate(runs):
        share = accuracy_shares(torch.tensor(counts), SAMPLES)[1].tolist()
        values = {"a": counts[1], "b": counts[2], "fused": counts[3]}
        rows += [(seed, m, "accuracy", v / SAMPLES) for m, v in values.items()]
        rows += [(seed, m, "contribution", v) for m, v in zip("ab", share, strict=True)]
    frame = pd.DataFrame(rows, columns=["seed", "modality", "metric", "value"])
    frame["run"] = frame["seed"].map("run{}".format)
    return frame.assign(dataset="d", fusion="late", method="joint", label="joint", split="test")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 300), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_what_nothing_reaches_follows_from_the_shares(none, a, b, both):
    counts = [none, a, b, both]
    phi, share = accuracy_shares(torch.tensor(counts), SAMPLES)
    table = pair_accuracies(frozen([counts]))
    if min(phi) > 0 and abs(2 * share[0] - 1) > 1.01 * MIN_IMBALANCE:
        assert table.loc["joint"].to_numpy() * SAMPLES == pytest.approx(counts, abs=1e-6)
    elif min(phi) <= 0:  # the share was cut at zero and tells nothing
        assert table.empty


def test_seeds_that_do_not_tell_are_left_out_of_nothing_only():
    table = pair_accuracies(frozen([[100, 300, 600, 800], [200, 900, 150, 850]]))
    assert table.loc["joint", "none"] == pytest.approx(0.1)
    assert table.loc["joint", "both"] == pytest.approx(0.825)


def test_three_modalities_are_refused():
    frame = frozen([[100, 300, 600, 800]])
    third = frame[frame["modality"] == "a"].assign(modality="c")
    with pytest.raises(MsamError, match=r"3 modalities \(a, b, c\)"):
        pair_accuracies(pd.concat([frame, third]))


def test_every_comparison_is_offered(parts):
    for name in ("epochs", "table"):
        assert [c["name"] for c in parts[name]["comparisons"]] == [c.name for c in COMPARISONS]
    two = [c["name"] for c in parts["coalitions"]["comparisons"]]
    assert two and all(n.startswith(("avmnist", "digits")) for n in two)


def test_shares_are_of_the_whole(parts):
    for where in parts["epochs"]["comparisons"]:
        for method in where["methods"]:
            total = np.sum(list(method["share"].values()), axis=0)
            assert total == pytest.approx(100, abs=0.5)
            assert set(method["accuracy"]) == {*method["share"], "fused"}
            assert {len(v) for v in method["accuracy"].values()} == {len(where["epochs"])}


def test_coalitions_divide_as_the_frozen_shares_do(parts):
    """Shapley values of the mean accuracies, and the mean of the runs' shares: nearly the same."""
    where = parts["coalitions"]["comparisons"][0]
    frame = load("methods", explore_pages.DATA)
    rows = frame[(frame["dataset"] == "avmnist") & (frame["fusion"] == "late")]
    own = rows[(rows["label"] == "joint") & (rows["metric"] == "contribution")]
    share = own[own["modality"] == where["looks"][0]["name"]]["value"].mean()
    none, first, second, both = where["methods"][0]["values"]
    assert where["methods"][0]["name"] == "Joint training"
    phi = (first - none + both - second) / 2
    assert phi / (both - none) == pytest.approx(share, abs=0.01)
    # The commonest class of ten, or a class near it: nobody was asked.
    assert all(
        8 < m["values"][0] < 13 for c in parts["coalitions"]["comparisons"] for m in c["methods"]
    )


def test_the_table_is_the_published_one(parts):
    for where in parts["table"]["comparisons"]:
        printed = (explore_pages.ROOT / "figures" / f"{where['file']}.md").read_text()
        for row in where["rows"]:
            (line,) = [x for x in printed.splitlines() if x.startswith(f"| {row['name']} |")]
            plain = re.sub(r"\*\*|</?u>", "", line)
            cells = [c.strip() for c in plain.strip("|").split("|")][1:]
            assert cells[: len(row["cells"])] == [c["text"] for c in row["cells"]]
            assert row["kind"] != "" or row["name"].startswith("Floor")


def test_noise_and_landscapes_are_the_frozen_ones(parts):
    rows, names = noise_summary(load("noise_digits", explore_pages.DATA))
    worst = rows[rows["noise"] == rows["noise"].max()]
    expected = {names[r.label]: r.mean for r in worst.itertuples()}
    shown = {m["name"]: m["values"]["fused"][-1][0] for m in parts["noise"]["methods"]}
    assert shown == {k: pytest.approx(v, abs=0.051) for k, v in expected.items()}
    planes = landscapes(load("landscapes", explore_pages.DATA))
    for plane in parts["landscape"]["planes"]:
        assert np.array(plane["loss"]) == pytest.approx(planes[plane["name"]].loss, abs=6e-4)
        assert parts["landscape"]["low"] <= np.min(plane["loss"]) + 6e-4
    assert set(parts["landscape"]["start"]) <= set(planes)


def test_panels_start_with_methods_that_are_there(parts):
    for part in ("epochs", "coalitions"):
        for where in parts[part]["comparisons"]:
            assert set(parts[part]["start"]) <= {m["name"] for m in where["methods"]}


def test_a_page_gets_its_parts_and_scripts(tmp_path, monkeypatch):
    part = {"name": "ends </script> here", "values": [1.5, None]}
    monkeypatch.setattr(explore_pages, "PARTS", {"made": lambda data: part})
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n{part made}\n\n{scripts}\n")
    explore_pages.fill(page)
    text = page.read_text()
    (inside,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    assert json.loads(inside) == part
    assert 'data-part="made"' in text and "{part" not in text and "{scripts}" not in text
    for name in explore_pages.SCRIPTS:
        assert f'src="_static/{name}"' in text and name in static()


def test_scripts_fetch_nothing_and_are_short():
    for path in static().values():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 250
        found = set(re.findall(r"https?://[^\s\"']+", text))
        assert found <= {"http://www.w3.org/2000/svg"}  # a name, never fetched
        assert not re.search(r"\bfetch\(|XMLHttpRequest|@import|\bimport\(", text)


def test_means_over_fewer_seeds_are_named(parts):
    notes = {c["name"]: c["notes"][0] for c in parts["epochs"]["comparisons"]}
    assert notes["avmnist, late"] == "Mean over 5 seeds."
    assert notes["signs, late"] == "Mean over 10 seeds."
    assert notes["digits, early"] == "Mean over 5 seeds; AGM over 3."
    assert parts["noise"]["notes"][0] == "Mean over 5 seeds."


def test_a_comparison_without_separate_models_has_no_dashes_beside_the_axis(monkeypatch):
    whole = load("methods_isl", explore_pages.DATA)
    assert "unimodal" in set(whole["method"])
    left = whole[whole["method"] != "unimodal"]
    monkeypatch.setattr(explore_data, "_load", lambda name, data: left)
    monkeypatch.setattr(explore_data, "_notes", lambda *rest: [])
    part = explore_data._trained(explore_pages.DATA, Comparison("isl", "late"))
    assert part["alone"] == {} and len(part["methods"]) >= 5


def test_every_part_has_its_place_and_its_script():
    text = (explore_pages.ROOT / "book" / "explore.md").read_text(encoding="utf-8")
    assert re.findall(r"^\{part (\w+)\}$", text, re.MULTILINE) == list(explore_pages.PARTS)
    assert text.count("\n{scripts}\n") == 1
    assert {n for n in static() if n.endswith(".js")} == set(explore_pages.SCRIPTS)
