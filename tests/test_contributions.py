"""Shapley's axioms, the closed forms for two and three modalities, and the cached evaluation."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from msam_lib.contributions.coalitions import coalition_logits
from msam_lib.contributions.measure import coalition_values, shapley_contributions
from msam_lib.contributions.shapley import coalition_masks, sampled_shapley, shapley_from_values
from msam_lib.contributions.shares import dominant_modality, leader, normalise
from msam_lib.contributions.values import VALUES, value_function
from msam_lib.errors import MsamError
from msam_lib.models import FUSIONS, evaluating, wrap
from tests.helpers import buffers, make_batch, make_model

games = st.integers(1, 5).flatmap(
    lambda m: st.lists(st.floats(-10, 10, allow_nan=False), min_size=2**m, max_size=2**m)
)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def test_two_modalities_by_hand():
    none, first, second, both = 0.1, 0.5, 0.3, 0.9
    phi = shapley_from_values(tensor([none, first, second, both]))
    assert phi[0] == pytest.approx(((both - second) + (first - none)) / 2)
    assert phi[1] == pytest.approx(((both - first) + (second - none)) / 2)


def test_three_modalities_have_the_papers_weights():
    v = torch.rand(8, dtype=torch.float64)  # rows: {}, 1, 2, 12, 3, 13, 23, 123
    expected = (v[1] - v[0]) / 3 + (v[3] - v[2]) / 6 + (v[5] - v[4]) / 6 + (v[7] - v[6]) / 3
    assert shapley_from_values(v)[0] == pytest.approx(float(expected))


@given(games)
@settings(deadline=None)
def test_efficiency(values):
    v = tensor(values)
    assert float(shapley_from_values(v).sum()) == pytest.approx(float(v[-1] - v[0]), abs=1e-9)


@given(games, st.floats(-3, 3), st.floats(-3, 3))
@settings(deadline=None)
def test_linearity(values, a, b):
    v, w = tensor(values), tensor(values[::-1])
    joined = shapley_from_values(a * v + b * w)
    assert torch.allclose(
        joined, a * shapley_from_values(v) + b * shapley_from_values(w), atol=1e-9
    )


@given(games)
@settings(deadline=None)
def test_agrees_with_the_average_over_all_orders(values):
    v, m = tensor(values), int(math.log2(len(values)))
    phi = torch.zeros(m, dtype=torch.float64)
    for order in itertools.permutations(range(m)):
        row = 0
        for player in order:
            phi[player] += (v[row | 1 << player] - v[row]) / math.factorial(m)
            row |= 1 << player
    assert torch.allclose(shapley_from_values(v), phi, atol=1e-9)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_dummy_and_symmetry(m):
    masks = coalition_masks(m).double()
    size = masks[:, : m - 1].sum(1)  # the last player never matters, the others are alike
    phi = shapley_from_values(size**2)
    assert float(phi[-1]) == pytest.approx(0, abs=1e-12)
    assert torch.allclose(phi[:-1], phi[0].expand(m - 1))


def test_a_game_needs_a_power_of_two():
    with pytest.raises(MsamError, match="3 rows"):
        shapley_from_values(torch.zeros(3))


def test_sampling_is_exact_for_additive_games_and_right_within_its_error_otherwise():
    worth = torch.arange(1.0, 12.0, dtype=torch.float64)
    phi, error, empty, full = sampled_shapley(lambda s: s.double() @ worth, 11, permutations=4)
    assert torch.allclose(phi, worth)
    assert float(error.max()) < 1e-9
    assert (float(empty), float(full)) == (0.0, float(worth.sum()))
    table = torch.randn(2**6, dtype=torch.float64)
    powers = 2 ** torch.arange(6)
    phi, error, _, _ = sampled_shapley(lambda s: table[(s * powers).sum(1)], 6, permutations=500)
    assert bool(((phi - shapley_from_values(table)).abs() < 5 * error).all())
    assert float(phi.sum()) == pytest.approx(float(table[-1] - table[0]))


def test_pairs_of_orders_are_exact_where_players_interact_in_pairs():
    worth = torch.randn(7, 7, dtype=torch.float64)
    phi, error, _, _ = sampled_shapley(
        lambda s: torch.einsum("ki,ij,kj->k", s.double(), worth, s.double()), 7, permutations=2
    )
    assert torch.allclose(phi, (worth.sum(0) + worth.sum(1)) / 2)
    assert float(error.max()) < 1e-9


def test_the_standard_error_is_the_spread_over_seeds():
    table, powers = torch.randn(2**5, dtype=torch.float64), 2 ** torch.arange(5)
    found = [
        sampled_shapley(lambda s: table[(s * powers).sum(1)], 5, permutations=20, seed=seed)[:2]
        for seed in range(60)
    ]
    phi, error = (torch.stack(x) for x in zip(*found, strict=True))
    off = (phi - shapley_from_values(table)).square().mean().sqrt()
    assert float(off / error.square().mean().sqrt()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("phi", "how", "empty", "expected"),
    [
        ([0.3, 0.1], "clip", 0.0, [0.75, 0.25]),
        ([-0.1, 0.2], "clip", 0.0, [0.0, 1.0]),
        ([-0.1, -0.2], "clip", 0.0, [0.5, 0.5]),
        ([-0.03, -0.09], "agm", 0.4, [0.17 / 0.28, 0.11 / 0.28]),
        ([0.0, 0.1], "softmax", 0.0, [1 / (1 + math.e), math.e / (1 + math.e)]),
    ],
)
def test_normalise(phi, how, empty, expected):
    assert normalise(tensor(phi), how, empty=empty).tolist() == pytest.approx(expected)


def test_values_by_hand():
    logits = torch.tensor([[[2.0, 0.0], [0.0, 0.0]]])
    y = torch.tensor([0, 1])
    p = math.exp(2) / (math.exp(2) + 1)
    assert value_function("accuracy")(logits, y).item() == 0.5  # a tie goes to the first class
    assert value_function("confidence")(logits, y).item() == pytest.approx((p + 0.5) / 2)
    assert value_function("log_likelihood")(logits, y).item() == pytest.approx(
        (math.log(p) - math.log(2)) / 2
    )


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("m", [2, 3])
def test_cached_coalitions_equal_zeroed_inputs(fusion, m):
    model, batch = make_model(fusion, m), make_batch(m)
    for seed in (5, 6):
        model(make_batch(m, seed=seed).inputs)  # running statistics that are not the initial ones
    before = buffers(model)
    masks = coalition_masks(m)
    logits = coalition_logits(model, batch.inputs, masks)
    with evaluating(model), torch.no_grad():
        for k, mask in enumerate(masks):
            masked = {
                name: x if mask[i] else torch.zeros_like(x)
                for i, (name, x) in enumerate(batch.inputs.items())
            }
            assert torch.allclose(logits[k], model(masked).logits, atol=1e-5)
            present = [name for i, name in enumerate(model.modalities) if mask[i]]
            assert torch.allclose(logits[k], model(batch.inputs, present=present).logits, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in buffers(model).items())
    assert model.training


@pytest.mark.parametrize("m", [2, 3])
def test_a_wrapped_module_gives_the_same_values(m):
    model, batch = make_model("maxout", m), make_batch(m)
    plain = wrap(model, model.modalities)
    for value in VALUES:
        expected = coalition_values(model, batch.inputs, batch.targets, value=value)
        assert torch.allclose(
            coalition_values(plain, batch.inputs, batch.targets, value=value), expected
        )


def test_a_wrapped_module_reads_one_sample_where_nothing_is_present():
    model, batch, rows = make_model("late", 2), make_batch(2, n=10), []
    plain = wrap(model, model.modalities)
    model.register_forward_pre_hook(lambda mod, args: rows.append(len(args[0]["x1"])))
    coalition_values(plain, batch.inputs, batch.targets)
    assert rows == [3 * 10 + 1]


def test_the_mean_baseline_replaces_zeros():
    model, batch = make_model("late", 2), make_batch(2)
    means = {k: x.mean(0) for k, x in batch.inputs.items()}
    model.set_baseline(means)
    with evaluating(model), torch.no_grad():
        n = len(batch.targets)
        masked = batch.inputs | {"x2": means["x2"].expand(n, *means["x2"].shape)}
        expected = model(masked).logits
        assert torch.allclose(model(batch.inputs, present=["x1"]).logits, expected, atol=1e-6)


def test_more_than_ten_modalities_are_sampled():
    from msam_lib.data import Modality
    from msam_lib.models import build_model

    specs = {f"x{i}": Modality("vector", (2,)) for i in range(12)}
    model = build_model(specs, "maxout", classes=2, width=2, hidden=(8, 4))
    inputs = {k: torch.randn(16, 2) for k in specs}
    c = shapley_contributions(
        model, inputs, torch.randint(2, (16,)), permutations=8, value="confidence"
    )
    assert len(c.weights) == 12
    assert float(c.phi.sum()) == pytest.approx(float(c.full - c.empty), abs=1e-5)
    assert float(c.standard_error.max()) > 0


def test_full_and_empty_are_those_of_everybody_and_nobody():
    model, batch = make_model("late", 2).eval(), make_batch(2, 60)
    c = shapley_contributions(model, batch.inputs, batch.targets, value="log_likelihood")
    for found, present in ((c.full, model.modalities), (c.empty, ())):
        logits = model(batch.inputs, present=present).logits
        assert float(found) == pytest.approx(-float(cross_entropy(logits, batch.targets)), abs=1e-6)
    assert abs(float(c.full - c.empty)) > 1e-4


def test_the_leader_by_hand():
    names, equal = ("b", "c", "a"), tensor([0.4, 0.4, 0.2])
    assert leader(names, tensor([0.2, 0.5, 0.3]), tensor([0.0, 0.0, 0.0])) == "c"
    assert leader(names, tensor([0.2, 0.5, 0.3]), tensor([0.0, 0.0, 0.0]), least=True) == "b"
    assert leader(names, equal, tensor([0.1, 0.2, 0.0])) == "c"  # clipping may hide phi
    assert leader(names, equal, tensor([0.1, 0.1, 0.9])) == "b"  # and then the name
    lowest = tensor([1.0, 0.0, 0.0])
    assert leader(names, lowest, tensor([0.5, -0.2, -0.1]), least=True) == "c"


def test_ties_do_not_depend_on_the_order():
    assert dominant_modality({"b": 0.5, "a": 0.5}) == dominant_modality({"a": 0.5, "b": 0.5}) == "a"


def test_unknown_value_is_refused():
    with pytest.raises(MsamError, match="Did you mean 'accuracy'"):
        coalition_values(make_model(), make_batch().inputs, make_batch().targets, value="acuracy")
