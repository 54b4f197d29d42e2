"""Gains over joint training: the search's luck by hand, Holm's correction, the chosen trial."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from msam_lib.errors import MsamError
from msam_lib.figures import gains_summary
from msam_lib.figures.gains import gains_table
from msam_lib.figures.settings import FRAMES, SEARCHED
from msam_lib.labels import Comparison
from msam_lib.plots.curves import unimodal_accuracy
from msam_lib.results.frozen import load
from msam_lib.results.gains import chosen_trials, collapsed, gains
from msam_lib.results.luck import NORMAL, redrawn, with_luck
from msam_lib.results.rows import alone
from msam_lib.results.statistics import holm
from tests import fabricated

TOY = Comparison("toy", "late")


def search(**methods):
    """A frozen search: {label: [(lr, option, validation scores, test accuracies), ...]}; the best
    with most seeds was chosen, of equal ones the first.
    """

    def best(trials):
        most = max(len(t[2]) for t in trials)
        return max(
            (k for k, t in enumerate(trials) if len(t[2]) == most),
            key=lambda k: round(sum(trials[k][2]), 9),
        )

    rows = [
        {
            "dataset": "toy",
            "fusion": "late",
            "label": label,
            "run": f"{label}-{k}",
            "split": split,
            "metric": "accuracy",
        }
        | {"lr": lr, "option": option, "seed": 100 + s, "value": value}
        | {"chosen": int(k == best(trials))}
        for label, trials in methods.items()
        for k, (lr, option, val, test) in enumerate(trials)
        for split, several in (("val", val), ("test", test))
        for s, value in enumerate(several)
    ]
    return pd.DataFrame(rows)


def test_the_luck_of_a_search_by_hand():
    # The first trial wins unless the third seed is drawn twice or more.
    trials = [
        (0.1, "", (0.6, 0.6, 0.4), (0.70, 0.70, 0.70)),
        (0.2, "", (0.5, 0.5, 0.6), (0.60, 0.61, 0.62)),
        (0.4, "", (0.9,), (0.90,)),  # dropped after one seed: it cannot be chosen
    ]
    found = redrawn(search(joint=trials), TOY, "joint")
    third = np.array([d.count(2) for d in itertools.product(range(3), repeat=3)])
    # Mean scores with c draws of the third seed: 0.6 - 0.2 c / 3 against 0.5 + 0.1 c / 3.
    assert found == pytest.approx(np.where(third >= 2, 0.61 - 0.70, 0.0))
    assert with_luck(0.03, found) == pytest.approx(np.sqrt(0.03**2 + NORMAL**2 * 0.09**2 * 7 / 27))
    # Two methods that change with the same draws: only the difference counts.
    assert with_luck(0.03, found, found) == pytest.approx(0.03)
    assert with_luck(0.03, found, -found) > with_luck(0.03, found)


def test_a_search_with_one_seed_has_no_luck_to_draw():
    with pytest.raises(MsamError, match="two or more seeds"):
        redrawn(search(joint=[(0.1, "", (0.6,), (0.7,))]), TOY, "joint")
    with pytest.raises(MsamError, match="No trials of sam"):
        redrawn(search(joint=[(0.1, "", (0.6, 0.5), (0.7, 0.7))]), TOY, "sam")


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([0.02]).tolist() == [0.02]
    # Never below the plain values, and in their order.
    p = np.random.default_rng(0).uniform(size=20)
    assert (holm(p) >= p).all() and (np.diff(holm(p)[np.argsort(p)]) >= 0).all()


def test_the_chosen_trial_and_its_edges():
    trials = [
        (0.1, "0.1", (0.5, 0.5), (0.5, 0.5)),
        (0.2, "0.2", (0.7, 0.6), (0.5, 0.5)),
        (0.2, "0.4", (0.7, 0.6), (0.5, 0.5)),  # as good, and later
        (0.3, "0.3", (0.9,), (0.5,)),
    ]
    row = chosen_trials(search(sam=trials), TOY).loc["sam"]
    assert (row["lr"], row["option"], row["trials"], row["edges"]) == (0.2, "0.2", 4, [])
    row = chosen_trials(search(sam=trials[1:]), TOY).loc["sam"]
    assert row["edges"] == ["lr", "option"]
    row = chosen_trials(search(joint=[(lr, "", *rest) for lr, _, *rest in trials[:2]]), TOY)
    assert row.loc["joint", "edges"] == ["lr"]


def runs():
    """Test accuracies of joint, unimodal and sam; each gains 1 point over the one before."""
    frame = fabricated.results(labels=("joint", "unimodal", "sam"))
    # SAM's first seed gains 4 points more, so that differences have a spread.
    return frame.assign(
        value=frame["value"]
        + 0.04
        * ((frame["label"] == "sam") & (frame["seed"] == 0) & (frame["metric"] == "accuracy"))
    )


def test_gains_by_hand():
    same = [
        (0.1, "", (0.6, 0.6, 0.6), (0.7, 0.7, 0.7)),
        (0.2, "", (0.5, 0.5, 0.5), (0.6, 0.6, 0.6)),
    ]
    lucky = [
        (0.1, "", (0.6, 0.6, 0.0), (0.7, 0.7, 0.7)),
        (0.2, "", (0.1, 0.1, 0.9), (0.6, 0.6, 0.6)),
    ]
    table = gains(runs(), search(joint=same, unimodal=same, sam=lucky), TOY).set_index("label")
    assert set(table.index) == {"unimodal", "sam"}
    # SAM: differences of 6, 2 and 2 points.
    assert table.loc["sam", "fused"] == pytest.approx(10 / 3)
    spread = np.std([6, 2, 2], ddof=1) / np.sqrt(3)
    half = t.ppf(0.975, 2) * spread
    luck = 100 * redrawn(search(sam=lucky), TOY, "sam")
    assert table.loc["sam", "fused_half"] == pytest.approx(with_luck(half, luck))
    assert table.loc["sam", "fused_half"] > half + 1
    plain = 2 * t.sf(10 / 3 / spread, 2)
    assert table.loc["sam", "fused_p"] == pytest.approx(min(1, plain))  # the larger of two
    assert table.loc["unimodal", "fused_half"] == pytest.approx(0)
    assert table.loc["sam", "weakest"] == pytest.approx(10 / 3)
    text = gains_table(runs(), search(joint=same, unimodal=same, sam=lucky), where=TOY).to("md")
    assert text.index("SAM") < text.index("Unimodal") and "2 of 2 choices lie at an edge" in text


def test_gains_by_the_own_head_of_the_modality_that_is_weakest_alone():
    frame, steady = runs(), [(0.1, "", (0.6,) * 3, (0.7,) * 3)]
    tuned = search(joint=steady, unimodal=steady, sam=steady)
    head = frame["metric"] == "accuracy_head"
    # SAM's head of the audio gains 3 points more in one seed; those of the visual modality, which
    # is the stronger one alone, are the lowest heads.
    more = head & (frame["label"] == "sam") & (frame["modality"] == "audio") & (frame["seed"] == 1)
    less = head & (frame["modality"] == "visual")
    frame = frame.assign(value=frame["value"] + 0.03 * more - 0.3 * less)
    table = gains(frame, tuned, TOY).set_index("label")
    assert table.loc["sam", "head"] == pytest.approx((2 + 5 + 2) / 3)
    spread = np.std([2, 5, 2], ddof=1) / np.sqrt(3)
    assert table.loc["sam", "head_half"] == pytest.approx(t.ppf(0.975, 2) * spread)
    assert table.loc["sam", "head_p"] == pytest.approx(2 * t.sf(3 / spread, 2))
    assert table.loc["unimodal", "head"] == pytest.approx(1)
    # another arithmetic in which SAM's head gains otherwise, and nothing else does, widens it
    there = frame.assign(value=frame["value"] - 0.2 * (head & (frame["label"] == "sam")))
    wide = gains(frame, tuned, TOY, there).set_index("label").loc["sam"]
    assert wide["head_half"] > 10 and wide["weakest_half"] == table.loc["sam", "weakest_half"]
    # Where joint training has no heads (MaxOut) nothing is said of them.
    without = frame[~(head & (frame["label"] == "joint"))]
    assert "head" not in gains(without, tuned, TOY)


def test_collapsed_runs_are_counted():
    # Joint training: 70, 72, 74 %; SAM: 76, 74, 76 %.
    share = collapsed(runs(), TOY, below=73)
    assert share["joint"] == pytest.approx(2 / 3) and share["sam"] == 0
    # By their own heads, 0.1 above, unimodal training's modalities reach 63 and 68 %.
    reached = unimodal_accuracy(alone(runs()))
    assert reached == pytest.approx({"audio": 0.63, "visual": 0.68})
    assert alone(fabricated.results(labels=("joint", "sam"))) is None


def test_the_summary_holds_what_the_tables_of_the_settings_hold():
    data = [load(n) for n in (*FRAMES, "search", "elsewhere_avmnist_mini")]
    found = gains_summary.all_gains(*data)
    table = gains_summary.summary_table(*data, short="weakest")
    assert [row.name for row in table.rows] == [w.name for w in SEARCHED]
    where = SEARCHED[1]
    own = found[where].loc["joint_unimodal"]
    cell = table.rows[1].cells[table.columns.index("Joint + unimodal losses")]
    assert (cell.mean, cell.half) == (own["weakest"], own["weakest_half"]) and cell.rank == 1
    # by its own head, in settings whose networks have one
    heads = gains_summary.summary_table(*data, short="head")
    assert [row.name for row in heads.rows] == [w.name for w in SEARCHED if w.fusion != "maxout"]
    # a method that was not run there is missing, not zero
    absent = [row.cells[k] for row, w in zip(table.rows, found, strict=True)
              for k, name in enumerate(table.columns)
              if name not in set(found[w]["name"])]  # fmt: skip
    assert absent and all(c.text == "—" and c.note for c in absent)
