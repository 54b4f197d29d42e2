"""What counts: comparisons searched by the protocol, and the ranks and verdicts made from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from msam_lib.figures.claims import Claim, ledger
from msam_lib.figures.claims_list import CLAIMS
from msam_lib.figures.ranks import RANKED, ranked
from msam_lib.figures.registry import ITEMS
from msam_lib.figures.settings import OPTIONS, SEARCHED
from msam_lib.results import claims as test
from msam_lib.results.comparison import scores
from msam_lib.results.frozen import load
from msam_lib.results.luck import every_redrawn, redrawn, with_luck
from msam_lib.results.protocol import by_protocol
from tests import fabricated
from tests.test_gains import TOY, search

TRIALS = [(0.1, "", (0.6, 0.6, 0.4), (0.70,) * 3), (0.2, "", (0.5, 0.5, 0.6), (0.60, 0.61, 0.62))]
STEADY = [(0.1, "", (0.6, 0.6, 0.6), (0.7,) * 3)]
ONCE = [(0.1, "", (0.6,), (0.7,))]


def summary():
    """Joint training and SAM on a data set searched by the protocol, and on one that was not."""
    frame = fabricated.results(labels=("joint", "sam"), seeds=range(4))
    frame = frame[(frame["split"] == "test") & (frame["epoch"] == 2)]
    return pd.concat([frame, frame.assign(dataset="old", value=frame["value"] / 2)])


def searched():
    return pd.concat([
        search(joint=TRIALS, sam=STEADY), search(joint=ONCE, sam=ONCE).assign(dataset="old")
    ])  # fmt: skip


def test_only_searches_with_several_seeds_count():
    setting = fabricated.results(labels=("joint",)).assign(dataset="toy@snr=1")
    counted, older = by_protocol(summary(), searched(), setting)
    assert set(counted["dataset"]) == {"toy", "toy@snr=1"} and set(older["dataset"]) == {"old"}
    # of a setting the reported epoch and the test split, as the summary holds of the others
    own = counted[counted["dataset"] == "toy@snr=1"]
    assert set(own["epoch"]) == {2} and set(own["split"]) == {"test"}
    assert {where.dataset for where, _ in every_redrawn(searched())} == {"toy"}


def test_intervals_include_the_luck_of_both_searches():
    (plain,) = test.better(summary().query("dataset == 'toy'"), "sam", "joint")
    (wide,) = test.better(summary().query("dataset == 'toy'"), "sam", "joint", search=searched())
    luck = [100 * redrawn(searched(), TOY, k) for k in ("sam", "joint")]
    half = with_luck(plain.high - plain.mean, *luck)
    assert half > plain.high - plain.mean + 3  # the toy's luck is large
    assert (wide.mean, wide.low, wide.high) == pytest.approx(
        (plain.mean, plain.mean - half, plain.mean + half)
    )
    # a comparison that was searched with one seed keeps its interval over seeds
    old = summary().query("dataset == 'old'")
    assert test.better(old, "sam", "joint", search=searched()) == test.better(old, "sam", "joint")


def test_an_effect_whose_interval_holds_0_is_not_clear():
    up = test.effect("up", [1.0, 1.1, 0.9, 1.0])
    assert test.clear([up]) == (1, 0) and test.clear([up._replace(low=-0.1)]) == (0, 0)


def test_older_comparisons_are_listed_and_do_not_count():
    def claimed(frames):
        return test.better(frames["methods"], "sam", "joint")

    counted, older = by_protocol(summary(), searched())
    claims = [Claim("SAM", "paper", "how", claimed, "", "")]
    # SAM is ahead by a point in every seed: without spread, and so clear, in both
    found = ledger(claims, {"methods": counted}, {"methods": older}).entries[0]
    assert len(found.effects) == len(found.older) == 1
    text = ledger(claims, {"methods": counted}, {"methods": older}).to("md")
    assert "- *older search:* SAM - Joint training, old, late: +0.5" in text
    assert text.index("toy, late") < text.index("old, late") and text.count("old, late") == 1
    # what is not from comparisons is the same in both, and stands once
    same = [Claim("A", "paper", "how", lambda f: [test.effect("a", [1, 2, 3])], "", "")]
    assert not ledger(same, {"methods": counted}, {"methods": older}).entries[0].older


def test_named_methods_are_ranked_where_all_of_them_ran():
    few = fabricated.results(labels=("a", "b"), fusion="maxout")
    several = fabricated.results(labels=("a", "b", "c", "d", "e", "f"))
    without = fabricated.results(labels=("b", "c"), fusion="concat")
    frame = pd.concat([f[(f["split"] == "test") & (f["epoch"] == 2)]
                       for f in (few, several, without)])  # fmt: skip
    table = scores(frame, ("b", "a"))
    assert table.index.get_level_values("fusion").tolist() == ["late", "maxout"]
    assert list(table.columns) == ["b", "a"]


def test_the_committed_ranks_are_those_of_the_settings_of_the_protocol():
    frames = [load(name) for name in ("methods", "search", *OPTIONS)]
    names, found = ranked(*frames)
    assert len(names) == len(RANKED) and found.blocks == len(SEARCHED)
    counted = by_protocol(*frames)[0]
    assert set(zip(counted["dataset"], counted["fusion"], strict=True)) == set(SEARCHED)
    places = scores(counted, RANKED).rank(axis=1, ascending=False).mean()
    assert found.average.tolist() == pytest.approx([places[k] for k in RANKED])
    item = ITEMS["methods_ranks"]
    named = dict(zip(item.sources, frames, strict=True))
    assert f"{found.critical_difference:.1f}" in item.alt(named)


def test_every_claim_on_accuracy_counts_what_was_searched_by_the_protocol():
    """No verdict rests on a comparison that stands on one seed of the search."""
    search = load("search")  # once: what is computed from it is remembered by identity
    counted, older = by_protocol(load("methods"), search, *(load(n) for n in OPTIONS))
    for claim in CLAIMS:
        try:
            known = claim.test({"methods": counted, "search": search}) if claim.test else []
        except KeyError:  # it reads other frozen results
            continue
        assert all(np.isfinite(e.mean) for e in known)
        # with one seed of the search; of AV-MNIST there are final runs by the protocol, ten seeds
        assert not any("digits, early" in e.what for e in known), claim.words
        assert all(e.n == 10 for e in known if " avmnist, " in e.what), claim.words
    assert set(older["split"]) == {"test", "cost"}
