"""OPM and AMCo, which drop features of the modality that dominates; MMCosine, which measures
angles.
"""

from __future__ import annotations

import math

import pytest
import torch

from msam_lib.data import load_dataset
from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.methods import build_method
from msam_lib.methods.amco import mask, shares
from msam_lib.models import build_model
from msam_lib.training import Trainer, build_optimizer
from tests.helpers import distance, make_batch, make_model, sgd, steps

SMALL = {"n_train": 300, "n_val": 60, "n_test": 200}


def scored(*values):
    """Logits (M, 1, 2) whose score of class 0 is each of these."""
    return torch.tensor([[[math.log(v / (1 - v)), 0.0]] for v in values])


def test_opm_probabilities_by_hand():
    rule, y = build_method("opm", q_base=0.4, lam=0.5), torch.tensor([0])
    q = rule.drop_probabilities(scored(0.6, 0.3), y)
    assert q.tolist() == pytest.approx([0.4 * (1 + 0.5 * math.tanh(1.0)), 0.0], abs=1e-6)
    # three: the others of 0.6 have the mean 0.4, those of 0.5 the mean 0.45, of 0.3 0.55
    q = rule.drop_probabilities(scored(0.6, 0.5, 0.3), y)
    leads = [0.6 / 0.4 - 1, 0.5 / 0.45 - 1]
    expected = [0.4 * (1 + 0.5 * math.tanh(v)) for v in leads]
    assert q.tolist() == pytest.approx([*expected, 0.0], abs=1e-5)
    assert not rule.drop_probabilities(scored(0.5, 0.5), y).any()
    assert build_method("opm", q_base=0.9, lam=2.0).drop_probabilities(scored(0.9, 0.1), y)[0] == 1


def test_opm_keeps_the_mean_feature_and_the_weakest_modality():
    rule = build_method("opm", execute=1.0)
    features = {"x1": torch.ones(20_000, 6), "x2": torch.ones(20_000, 2)}
    out = rule.thinned(features, torch.tensor([0.5, 0.0]))
    theta = 6 * 0.5 / 8
    assert out["x1"].unique().tolist() == pytest.approx([0.0, 1 / (1 - theta)])
    assert torch.allclose(out["x2"], torch.full_like(out["x2"], 1 / (1 - theta)))
    total = sum(float(h.sum()) for h in out.values()) / 20_000
    assert total == pytest.approx(8.0, rel=0.02)  # weighted by size, nothing is lost on average


def test_opm_modulates_its_share_of_the_batches():
    rule = build_method("opm", execute=0.3)
    features = {"x1": torch.ones(4, 3), "x2": torch.ones(4, 3)}
    q = torch.tensor([0.5, 0.0])
    done = [not torch.equal(rule.thinned(features, q)["x2"], features["x2"]) for _ in range(2000)]
    assert sum(done) / 2000 == pytest.approx(0.3, abs=0.04)


def test_opm_trains_jointly_until_it_is_warm():
    model, batches = make_model(), [make_batch(seed=s) for s in (1, 2)]
    rule = build_method("opm", execute=1.0, warmup=2)
    rule.on_epoch_start(model, 1, None)
    joint = steps(model, build_method("joint"), batches)
    assert distance(steps(model, rule, batches), joint) == 0
    rule.on_epoch_start(model, 2, None)
    assert distance(steps(model, rule, batches), joint) > 1e-4


@pytest.mark.parametrize("fusion", ["late", "concat", "maxout", "gated"])
def test_what_opm_scores_by_beats_chance_on_a_trained_model(fusion):
    data = load_dataset("synthetic", snr=(3.0, 2.0), **SMALL)
    torch.manual_seed(0)
    options = {"hidden": (16, 8)} if fusion == "maxout" else {}
    model = build_model(data, fusion, width=4, **options)
    rule = build_method("opm", warmup=3)
    optimizer = build_optimizer(model.parameters(), lr=0.05)
    Trainer(model, rule, data, optimizer=optimizer, progress=False).fit(6)
    batch = data.test[torch.arange(200)]
    model.eval()
    z = rule._logits(model, model.encode(batch.inputs), batch)
    right = (z.argmax(-1) == batch.targets).float().mean(1)
    assert right.min() > 0.35  # four classes
    q = rule.drop_probabilities(z, batch.targets)
    assert q[0] > 0 and q[1] == 0  # x1 tells more


def test_mmcosine_sees_directions_only():
    for fusion in ("late", "concat"):
        model, batch = make_model(fusion, 3), make_batch(3)
        rule = build_method("mmcosine", scale=5.0)
        model.eval()
        before = rule.predict(model, batch)
        assert before.abs().max() <= 5.0 * 3
        with torch.no_grad():
            for p in model.fusion.parameters():
                p.mul_(3.0)
        assert torch.allclose(rule.predict(model, batch), before, atol=1e-5)
        h = model.encode(batch.inputs)
        longer = {m: 2.0 * v for m, v in h.items()}
        assert torch.allclose(rule.cosines(model, longer).logits, before, atol=1e-5)


def test_mmcosine_leaves_the_bias_alone_and_refuses_other_fusions():
    model = make_model()
    method = build_method("mmcosine")
    method.step(model, make_batch(), sgd(model))
    assert all(head.bias.grad is None for head in model.fusion.heads.values())
    with pytest.raises(UnsupportedSetting, match="fusion='late'"):
        build_method("mmcosine").setup(make_model("gated"))


def test_amco_masks_more_from_epoch_to_epoch():
    model, rule = make_model(), build_method("amco", epsilon=0.3)
    assert rule.masked_part == 0  # a bare loop
    parts = []
    for epoch in range(4):
        rule.setup(model)
        rule.on_epoch_start(model, epoch, None)
        parts.append(rule.masked_part)
    assert parts == pytest.approx([0.0, math.sin(math.pi / 6), 1.0, 1.0])


@pytest.mark.parametrize(("part", "factor"), [(0.5, 2.0), (0.95, 10.0), (1.0, 10.0)])
def test_amco_masks_whole_units(part, factor):
    one = mask(torch.ones(4, 40), part)
    assert int((one == 0).sum()) == int(part * 40)
    left = one[one > 0].tolist()
    assert left == pytest.approx([factor] * len(left))
    assert not torch.equal(one, mask(torch.ones(4, 40), part)) or part == 1


def test_amco_depends_on_what_has_most_of_the_probability():
    z = {"x1": torch.zeros(2, 3), "x2": torch.full((2, 3), math.log(4.0))}
    assert shares(z).tolist() == pytest.approx([0.2, 0.8])
    model, batch, rule = make_model(), make_batch(), build_method("amco", threshold=0.5)
    rule.setup(model)
    with torch.no_grad():
        model.fusion.heads["x2"].bias.add_(5.0)
    rule.on_epoch_start(model, 2, None)
    first = rule.step(model, batch, sgd(model, lr=0.0))
    assert rule.dependent.tolist() == [False, True]
    logs = rule.step(model, batch, sgd(model, lr=0.0))
    assert float(first["masked/x2"]) == 0 and float(logs["masked/x2"]) == 1
    assert float(logs["loss"]) != float(first["loss"])
    assert rule.dependent.tolist() == [False, True]  # its bias remains, and is depended on
    rule.on_epoch_start(model, 3, None)
    assert not rule.dependent.any()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("opm", {"q_base": 1.5}, "q_base=1.5"),
        ("opm", {"execute": -0.1}, "execute=-0.1"),
        ("opm", {"lam": -1.0}, "lam=-1.0"),
        ("opm", {"warmup": -1}, "warmup=-1"),
        ("mmcosine", {"scale": 0.0}, "scale=0.0"),
        ("amco", {"threshold": 0.0}, "threshold=0.0"),
        ("amco", {"epsilon": 0.0}, "epsilon=0.0"),
        ("amco", {"weight": -1.0}, "weight=-1.0"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
