"""Shares without rounding noise: every small game of whole numbers against fractions, whatever the
order of the modalities.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
import torch

from msam_lib.contributions.measure import shapley_contributions
from msam_lib.contributions.shapley import coalition_masks, shapley_from_values
from msam_lib.contributions.shares import accuracy_shares, leader
from msam_lib.data import MultimodalDataset
from msam_lib.training.evaluate import evaluate
from tests.helpers import make_batch, make_model

NAMES = ("b", "a", "c")
SAMPLES = 7  # no power of two, so that every quotient is rounded
# all games of two players with 0 to 4 right answers, of three players with 0 to 2
GAMES = {
    2: list(itertools.product(range(5), repeat=4)),
    3: list(itertools.product(range(3), repeat=8)),
}


def fractions(game: tuple[int, ...]) -> list[Fraction]:
    """Shapley values as the average over all orders."""
    m = len(game).bit_length() - 1
    phi = [Fraction(0)] * m
    for order in itertools.permutations(range(m)):
        row = 0
        for player in order:
            phi[player] += Fraction(
                game[row | 1 << player] - game[row], math.factorial(m) * SAMPLES
            )
            row |= 1 << player
    return phi


def clipped(phi: list[Fraction]) -> list[Fraction]:
    parts = [max(x, Fraction(0)) for x in phi]
    total = sum(parts)
    return [x / total if total else Fraction(1, len(phi)) for x in parts]


def permuted(game: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """The same game with player i called order[i]."""
    out = [0] * len(game)
    for row, value in enumerate(game):
        out[sum(1 << order[i] for i in range(len(order)) if row >> i & 1)] = value
    return tuple(out)


@pytest.mark.parametrize("m", [2, 3])
def test_every_small_game_agrees_with_fractions_to_the_last_bit(m):
    for game in GAMES[m]:
        counts = torch.tensor(game)
        phi, shares = accuracy_shares(counts, SAMPLES)
        exact = fractions(game)
        assert phi.tolist() == [float(x) for x in exact], game
        assert shares.tolist() == [float(x) for x in clipped(exact)], game
        assert shapley_from_values(counts).tolist() == [float(x * SAMPLES) for x in exact], game
        for i, j in itertools.combinations(range(m), 2):
            if exact[i] == exact[j]:
                assert phi[i] == phi[j] and shares[i] == shares[j], game


@pytest.mark.parametrize("how", ["clip", "agm", "softmax"])
@pytest.mark.parametrize("m", [2, 3])
def test_the_order_of_the_modalities_decides_nothing(m, how):
    orders = [o for o in itertools.permutations(range(m)) if o != tuple(range(m))]
    for game in GAMES[m][:: 1 if m == 2 else 7]:
        phi, shares = accuracy_shares(torch.tensor(game), SAMPLES, how)
        best = leader(NAMES[:m], shares, phi)
        for order in orders:
            other, others = accuracy_shares(torch.tensor(permuted(game, order)), SAMPLES, how)
            place = torch.tensor(order)
            assert torch.equal(other[place], phi), (game, order)
            assert torch.equal(others[place], shares), (game, order)
            names = [""] * m
            for i, to in enumerate(order):
                names[to] = NAMES[i]
            assert leader(names, others, other) == best, (game, order)


def test_noise_does_not_become_a_share():
    # phi = (0, 0, -1/16): the first two add nothing, the third harms
    counts = torch.tensor([8, 8, 8, 8, 7, 7, 7, 7])
    phi, shares = accuracy_shares(counts, 16)
    assert phi.tolist() == [0.0, 0.0, -1 / 16]
    assert shares.tolist() == [1 / 3] * 3
    assert accuracy_shares(counts, 16, "agm")[1].tolist() == [8 / 21, 8 / 21, 5 / 21]


def test_a_model_gives_the_counted_shares():
    for seed in range(20):
        model, batch = make_model("late", 3, seed=seed), make_batch(3, n=16, seed=seed)
        found = shapley_contributions(model, batch.inputs, batch.targets)
        counts = []
        model.eval()
        for mask in coalition_masks(3):
            present = [m for m, here in zip(model.modalities, mask, strict=True) if here]
            answers = model(batch.inputs, present=present).logits.argmax(-1)
            counts.append(int((answers == batch.targets).sum()))
        phi, shares = accuracy_shares(torch.tensor(counts), 16)
        assert torch.equal(found.phi, phi)
        assert torch.equal(found.weights, shares)
        assert (float(found.empty), float(found.full)) == (counts[0] / 16, counts[-1] / 16)


def test_evaluate_counts_too():
    for seed in range(10):
        model, batch = make_model("late", 3, seed=seed), make_batch(3, n=48, seed=seed)
        split = MultimodalDataset(batch.inputs, batch.targets)
        rows = {(r.modality, r.metric): r.value for r in evaluate(model, split, per_class=True)}
        own = batch.targets == 1
        inputs = {m: x[own] for m, x in batch.inputs.items()}
        found = shapley_contributions(model, batch.inputs, batch.targets)
        of_class = shapley_contributions(model, inputs, batch.targets[own])
        for i, m in enumerate(model.modalities):
            assert rows[m, "phi"] == float(found.phi[i])
            assert rows[m, "contribution"] == float(found.weights[i])
            assert rows[m, "contribution/1"] == float(of_class.weights[i])
