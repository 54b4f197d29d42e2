"""What a search tries: as many trials for every method, beyond edges, and between neighbours."""

from __future__ import annotations

import json
import math

import pytest

from msam_lib.errors import MsamError
from msam_lib.experiments.trials import COARSE, FINER, Trial, beyond, coarse, edges, finer
from msam_lib.labels import Case
from msam_lib.methods import METHODS, build_method

SAM = Case("sam", {})


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("budget", [3, 6, 9])
def test_every_method_gets_as_many_trials(name, budget):
    found = coarse(Case(name, {}), 0.1, budget)
    assert len(found) == budget == len({json.dumps(t, sort_keys=True) for t in found})
    for lr, options in found:
        assert 0 < lr <= 0.2
        build_method(name, **options)


def test_trials_by_hand():
    third = pytest.approx(0.1)
    assert coarse(SAM, 0.3, 3) == [
        (0.6, {"rho": 0.05}), (0.3, {"rho": 0.05}), (third, {"rho": 0.05})
    ]  # fmt: skip
    assert coarse(Case("joint", {}), 0.3, 3) == [(0.6, {}), (0.3, {}), (third, {})]
    kept = coarse(Case("msam", {"reading": "encoder"}), 0.1, 6)
    assert all(options["reading"] == "encoder" for _, options in kept)
    with pytest.raises(MsamError, match="budget=4"):
        coarse(SAM, 0.1, 4)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_meets_the_same_learning_rates(name):
    rates = {rate for rate, _ in coarse(Case(name, {}), 0.1, 6)}
    assert {0.2, 0.1, 0.1 / 3} <= rates


def test_beyond_each_edge_by_hand():
    tried = coarse(SAM, 0.3)  # rates 0.6, 0.3, 0.1 and radii 0.01, 0.05, 0.2
    corner = beyond(SAM, tried, Trial(0.6, {"rho": 0.2}))
    assert corner == [(1.2, {"rho": 0.2}), (0.6, {"rho": pytest.approx(0.8)})]
    lowest = min(t.lr for t in tried)
    assert beyond(SAM, tried, Trial(lowest, {"rho": 0.05})) == [(lowest / 3, {"rho": 0.05})]
    assert beyond(SAM, tried, Trial(0.3, {"rho": 0.01})) == [(0.3, {"rho": pytest.approx(0.002)})]
    assert beyond(SAM, tried, Trial(0.3, {"rho": 0.05})) == []
    # A probability goes no further than the method allows: 0.5^2 / 0.3 would, 1.39 would not.
    dropout = Case("modality_dropout", {})
    several = coarse(dropout, 0.3)
    assert beyond(dropout, several, Trial(0.3, {"probability": 0.5}))[0][1] == {
        "probability": pytest.approx(0.833)
    }
    several.append(Trial(0.3, {"probability": 0.833}))
    assert beyond(dropout, several, several[-1]) == []
    assert edges(dropout, several, several[-1]) == ["probability"]


def test_between_the_best_and_its_neighbours_by_hand():
    tried = coarse(SAM, 0.3)
    lowest = min(t.lr for t in tried)
    found = finer(SAM, tried, Trial(0.3, {"rho": 0.05}))
    assert [t.lr for t in found] == pytest.approx(
        [math.sqrt(0.3 * 0.6), math.sqrt(0.3 * lowest), 0.3, 0.3]
    )
    assert [t.options["rho"] for t in found] == pytest.approx([0.05, 0.05, 0.1, 0.0224])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("best", [0, 4, 8])
def test_every_method_gets_as_many_finer_trials(name, best):
    case = Case(name, {})
    tried = coarse(case, 0.1)
    found = finer(case, tried, tried[best])
    assert len(found) == FINER and len(tried) == COARSE
    for trial in found:
        build_method(name, **trial.options)
        assert trial not in tried
    # None beyond one step of the coarse grid.
    rates = [t.lr for t in tried]
    assert all(min(rates) / 3 <= t.lr <= 2 * max(rates) for t in found)


def test_a_fixed_option_is_not_searched():
    case = Case("sam", {"rho": 0.1})
    tried = coarse(case, 0.3)
    assert {t.options["rho"] for t in [*tried, *finer(case, tried, tried[0])]} == {0.1}
    assert beyond(case, tried, tried[0]) == [(1.2, {"rho": 0.1})]
