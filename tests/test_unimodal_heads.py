"""Heads beside the fusion: they give the per-modality logits, the fusion gives everything else."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from msam_lib.contributions import coalition_logits, coalition_masks
from msam_lib.methods import build_method
from msam_lib.methods._gradients import own_parameters
from msam_lib.models import FUSIONS
from tests.helpers import distance, make_batch, make_model, sgd, weights

ADDITIVE = ["late", "concat"]
every_fusion = pytest.mark.parametrize("fusion", FUSIONS)
every_m = pytest.mark.parametrize("m", [2, 3])


@every_m
@every_fusion
def test_heads_give_the_unimodal_logits_and_the_fusion_the_fused_ones(fusion, m):
    plain = make_model(fusion, m).eval()
    model, batch = make_model(fusion, m, unimodal_heads=True).eval(), make_batch(m)
    model.load_state_dict(plain.state_dict(), strict=False)
    out, without = model(batch.inputs), plain(batch.inputs)
    for k, h in out.features.items():
        head = model.heads[k]
        assert torch.equal(out.unimodal[k], F.linear(h, head.weight, head.bias))
    assert torch.equal(out.logits, without.logits)
    assert not any(torch.allclose(out.unimodal[k], z) for k, z in without.unimodal.items())


@every_m
@every_fusion
def test_contributions_are_those_of_the_fusion(fusion, m):
    plain = make_model(fusion, m)
    model, batch = make_model(fusion, m, unimodal_heads=True), make_batch(m)
    model.load_state_dict(plain.state_dict(), strict=False)
    masks = coalition_masks(m)
    assert torch.equal(
        coalition_logits(model, batch.inputs, masks), coalition_logits(plain, batch.inputs, masks)
    )


@every_m
@every_fusion
def test_joint_training_leaves_the_heads_as_they_were_drawn(fusion, m):
    plain = make_model(fusion, m, dropout=0.0)
    model = make_model(fusion, m, dropout=0.0, unimodal_heads=True)
    model.load_state_dict(plain.state_dict(), strict=False)
    before, joint = weights(model.heads), build_method("joint")
    for seed in range(3):
        for net in (model, plain):
            joint.step(net, make_batch(m, seed=seed), sgd(net))
    assert all(torch.equal(p, before[k]) for k, p in model.heads.named_parameters())
    assert distance(plain, model) == 0.0


@every_m
@every_fusion
def test_own_parameters_are_the_encoder_and_every_head_of_the_modality(fusion, m):
    model = make_model(fusion, m, unimodal_heads=True)
    found = {id(p) for p in own_parameters(model, "x1")}
    parts = [model.encoders["x1"], model.heads["x1"]]
    parts += [model.fusion.heads["x1"]] if fusion == "late" else []
    assert found == {id(p) for part in parts for p in part.parameters()}


@every_m
@every_fusion
@pytest.mark.parametrize("heads", [False, True])
def test_a_rate_of_0_freezes_the_modality_exactly(fusion, heads, m):
    model = make_model(fusion, m, unimodal_heads=heads)
    rule = build_method("mslr", rates={"x1": 0.0})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    build_method("joint").step(model, make_batch(m), optimizer)  # so that there is a momentum
    learning = {k for k, p in model.named_parameters() if p.grad is not None}
    before = weights(model)
    for seed in range(3):
        rule.step(model, make_batch(m, seed=seed), optimizer)
    own = {id(p) for p in own_parameters(model, "x1")}
    mine = {k for k, p in model.named_parameters() if id(p) in own}
    assert learning & mine
    moved = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
    assert moved == learning - mine


@pytest.mark.parametrize("fusion", ADDITIVE)
def test_unimodal_losses_train_the_heads_beside_a_sum_and_not_its_terms(fusion):
    model, batch = make_model(fusion, unimodal_heads=True), make_batch()
    before = weights(model)
    build_method("unimodal").step(model, batch, sgd(model))
    moved = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
    assert {k for k in before if k.startswith("heads.")} <= moved
    assert not any(k.startswith("fusion.") for k in moved)


def test_a_model_with_heads_is_what_mmpareto_publishes():
    # concatenation and one linear head per modality: the heads follow their own loss only
    model, batch = make_model("concat", unimodal_heads=True), make_batch()
    net, before = copy.deepcopy(model), weights(model)
    build_method("mmpareto").step(model, batch, sgd(model, 0.1))
    own = F.cross_entropy(net(batch.inputs).unimodal["x2"], batch.targets)
    for k, g in zip(
        ("weight", "bias"), torch.autograd.grad(own, net.heads["x2"].parameters()), strict=True
    ):
        now = model.heads["x2"].get_parameter(k).detach()
        assert torch.allclose((before[f"heads.x2.{k}"] - now) / 0.1, g, atol=1e-6)
