"""Joint and unimodal training beside the same steps by hand."""

from __future__ import annotations

import pytest
import torch.nn.functional as F

from msam_lib.methods import build_method
from tests.reference import Agreement
from tests.reference.hand import TOLERANCE, Hand, batch_of, our_sgd, tiny

AGREEMENT = [
    Agreement(
        method="joint",
        source="cross-entropy of the fused logits; SGD with momentum and weight decay",
        compared="5 steps; late, concat, sum, gated, MaxOut; M = 2, 3",
    ),
    Agreement(
        method="unimodal",
        source="sum of the modalities' own cross-entropies (Peng et al. 2022, Fig. 1)",
        compared="5 steps; late, concat, and heads beside concat and MaxOut; M = 2, 3",
        departures="one run trains all modalities, which share no parameter with late fusion",
    ),
]
EVERY = ("late", "concat", "sum", "gated", "maxout")


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("fusion", EVERY)
def test_joint(fusion, m):
    model, rule = tiny(fusion, m), build_method("joint")
    hand, optimizer = Hand(model, fusion), our_sgd(model)
    for seed in range(5):
        batch = batch_of(m, seed=seed)
        rule.step(model, batch, optimizer)
        logits = hand.fuse(hand.features(batch.inputs), training=True)
        hand.sgd(hand.gradients(F.cross_entropy(logits, batch.targets)))
    assert hand.gap(model) < TOLERANCE


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(
    ("fusion", "heads"), [("late", False), ("concat", False), ("concat", True), ("maxout", True)]
)
def test_unimodal(fusion, heads, one, m):
    model = tiny(fusion, m, heads=heads)
    rule = build_method("unimodal", modality="x2" if one else None)
    hand, optimizer = Hand(model, fusion), our_sgd(model)
    for seed in range(5):
        batch = batch_of(m, seed=seed)
        rule.step(model, batch, optimizer)
        own = hand.own(hand.features(batch.inputs))
        chosen = [z for k, z in own.items() if not one or k == "x2"]
        hand.sgd(hand.gradients(sum(F.cross_entropy(z, batch.targets) for z in chosen)))
    assert hand.gap(model) < TOLERANCE
