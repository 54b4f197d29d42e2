"""DGL and ARL: which loss reaches what, and how the encoders' gradients are weighted."""

from __future__ import annotations

import copy

import pytest
import torch

from msam_lib.errors import MsamError
from msam_lib.methods import build_method
from msam_lib.methods._alone import alone, constant
from msam_lib.methods.arl import coefficients
from tests.helpers import make_batch, make_model, sgd, weights

FUSIONS = ["late", "concat", "maxout", "sum", "gated", "film"]


def gradients(model, method, batch):
    method.step(model, batch, sgd(model, lr=0.0))
    return {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_dgl_keeps_both_losses_apart(fusion):
    batch, found = make_batch(3), {}
    for alpha in (1.0, 2.0):
        model = make_model(fusion, 3, dropout=0.0)
        found[alpha] = gradients(model, build_method("dgl", alpha=alpha), batch)
    for k, g in found[1.0].items():
        factor = 2.0 if k.startswith("encoders.") else 1.0
        assert torch.allclose(found[2.0][k], factor * g, atol=1e-6), k


def test_dgl_encoders_do_not_see_the_other_modalities():
    batch, other = make_batch(2), make_batch(2, seed=5)
    mixed = batch._replace(inputs={"x1": batch.inputs["x1"], "x2": other.inputs["x2"]})
    for fusion in FUSIONS:
        a, b = (
            gradients(make_model(fusion, dropout=0.0), build_method("dgl"), x)
            for x in (batch, mixed)
        )
        own = [k for k in a if k.startswith("encoders.x1")]
        assert own and all(torch.allclose(a[k], b[k], atol=1e-6) for k in own), fusion
        assert any(not torch.allclose(a[k], b[k], atol=1e-4) for k in a if "fusion" in k)


def test_parameters_are_trained_again_after_a_failure():
    fusion = make_model("sum").fusion
    fusion.out.bias.requires_grad_(False)
    with pytest.raises(KeyboardInterrupt), constant(fusion):
        assert not any(p.requires_grad for p in fusion.parameters())
        raise KeyboardInterrupt
    held = [k for k, p in fusion.named_parameters() if not p.requires_grad]
    assert held == ["out.bias"]


def test_alone_is_the_fusion_on_zeros_or_the_own_head():
    for fusion in FUSIONS:
        model = make_model(fusion, 3, dropout=0.0)
        h = model.encode(make_batch(3).inputs)
        for m, z in alone(model.fusion, h).items():
            if fusion == "late":
                assert torch.equal(z, model.fusion.heads[m](h[m]))
                continue
            whole = copy.deepcopy(model.fusion)
            zeros = {k: v if k == m else torch.zeros_like(v) for k, v in h.items()}
            assert torch.allclose(z, whole(zeros), atol=1e-6)


def test_arl_by_hand():
    # x1 is certain and hardly depended on; x2 is uncertain, with large logits
    z = torch.tensor([[[3.0, 0.0]], [[10.0, 9.0]]])
    p = [float(torch.sigmoid(torch.tensor(d))) for d in (3.0, 1.0)]
    h = [-float(sum(x * torch.log(torch.tensor(x)) for x in (q, 1 - q))) for q in p]
    share = [max(v / sum(h), 0.3) for v in h]
    assert share[0] == 0.3  # the floor
    q = [1 / s / sum(1 / t for t in share) for s in share]
    d = [3 / 22, 19 / 22]
    raised = torch.tensor([4 * q[0] * d[1], 4 * q[1] * d[0]]).softmax(0)
    assert coefficients(z, 4.0).tolist() == pytest.approx(raised.tolist(), abs=1e-5)
    assert raised[0] > 0.8


@pytest.mark.parametrize("m", [2, 3])
def test_arl_only_scales_the_encoders(m):
    batch = make_batch(m)
    plain = gradients(
        make_model(m=m), build_method("arl", temperature=0.0, variant="released"), batch
    )
    rule = build_method("arl", temperature=6.0)
    found = gradients(make_model(m=m), rule, batch)
    factors = {k: float(v) for k, v in rule.coefficients.items()}
    assert sum(factors.values()) == pytest.approx(m + 1, abs=1e-4)
    for k, g in plain.items():  # the released code's: 1.5 for all
        modality = k.split(".")[1]
        factor = factors[modality] / 1.5 if k.startswith("encoders.") else 1.0
        assert torch.allclose(found[k], factor * g, atol=1e-6), k


def test_arl_warms_up_with_weight_one_and_no_factor():
    model, batch = make_model(), make_batch()
    rule, plain = build_method("arl", gamma=4.0, warmup=2), build_method("joint_unimodal")
    rule.on_epoch_start(model, 1, None)
    warm = gradients(copy.deepcopy(model), rule, batch)
    expected = gradients(copy.deepcopy(model), plain, batch)
    assert all(torch.allclose(warm[k], g, atol=1e-6) for k, g in expected.items())
    rule.on_epoch_start(model, 2, None)
    after = gradients(copy.deepcopy(model), rule, batch)
    assert any(not torch.allclose(after[k], g, atol=1e-3) for k, g in expected.items())
    assert set(rule.step(model, batch, sgd(model))) == {"loss", "coefficient/x1", "coefficient/x2"}


def test_the_fusion_is_trained_by_arl_and_all_weights_move():
    model = make_model("gated")
    before = weights(model)
    build_method("arl").step(model, make_batch(), sgd(model))
    assert all(not torch.equal(p, before[k]) for k, p in model.named_parameters())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dgl", {"alpha": 0.0}, "alpha=0.0"),
        ("arl", {"gamma": -1.0}, "gamma=-1.0"),
        ("arl", {"temperature": -1.0}, "temperature=-1.0"),
        ("arl", {"warmup": -1}, "warmup=-1"),
        ("arl", {"variant": "papre"}, "Did you mean 'paper'"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
