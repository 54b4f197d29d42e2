"""MNL, InfoReg, diagnose & re-learn and sample valuation: their quantities by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from msam_lib.data import BatchLoader, MultimodalDataset, load_dataset
from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.methods.diagnose_relearn import purity
from msam_lib.methods.inforeg import relative_growth
from msam_lib.methods.sample_valuation import copies_by_sample, valuation
from msam_lib.models import MultimodalModel, Output, build_fusion, build_model, wrap
from msam_lib.training import Loaders
from tests.helpers import make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def test_mnl_guidance_by_hand():
    # one sample of class 0; x1 is surer and has the larger margin, so x1 guides x2
    rule = build_method("mnl", lam=0.5)
    z1, z2 = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    own, fused, y = torch.stack([z1, z2]), (z1 + z2) / 2, torch.tensor([0])
    p, q = z1[0].softmax(0), z2[0].softmax(0)
    soft = [1.0, 0.5 * float(p[1]), 0.5 * float(p[2])]
    expected = -sum(s * math.log(float(x)) for s, x in zip(soft, q, strict=True)) / 3
    assert float(rule.guide(own, fused, y)) == pytest.approx(expected, abs=1e-5)
    flipped = rule.guide(own.flip(0), fused, y)
    assert float(flipped) == pytest.approx(expected, abs=1e-5)
    assert float(rule.guide(torch.stack([z1, z1]), z1, y)) == 0.0  # nobody knows better
    three = rule.guide(torch.stack([z1, z2, z2]), fused, y)
    assert float(three) == pytest.approx(2 * expected / 2, abs=1e-5)


def test_mnl_guide_gets_no_gradient():
    rule = build_method("mnl")
    own = torch.tensor([[[3.0, 1.0, 0.0]], [[1.0, 0.0, 1.0]]], requires_grad=True)
    rule.guide(own, own.detach().mean(0), torch.tensor([0])).backward()
    assert not own.grad[0].any() and own.grad[1].any()


def test_mnl_loss_is_the_sum():
    rule = build_method("mnl", guidance=0.0)
    z1, z2 = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    batch = make_batch(n=1)._replace(targets=torch.tensor([0]))
    found = float(rule.loss(Output(z1 + z2, {}, {"x1": z1, "x2": z2}), batch))
    terms = [math.log(1 + math.exp(-0.5)), math.log(1 + math.exp(-1)), math.log(2)]
    assert found == pytest.approx(sum(terms), abs=1e-5)


def test_inforeg_growth_by_hand():
    assert relative_growth([[1.0, 2.0]]) == [1.0, 1.0]
    assert relative_growth([[1.0], [3.0]]) == pytest.approx([3 / 4])
    rows = [[1.0]] * 9 + [[2.0]]
    assert relative_growth(rows) == pytest.approx([2 / 11])  # a zero leaves the ten
    assert relative_growth([*rows, [11.0]]) == pytest.approx([(11 - 1) / 21])


def test_inforeg_pulls_the_better_encoder_back():
    model, batch = make_model(dropout=0.0), make_batch()
    rule = build_method("inforeg", beta=0.2, weight=0.0)
    rule.setup(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    before = weights(model)
    gaps = rule.gaps(model(batch.inputs), batch.targets)
    plain = make_model(dropout=0.0)
    plain.load_state_dict(model.state_dict())
    build_method("joint").step(plain, batch, sgd(plain, 0.1))
    rule.step(model, batch, sgd(model, 0.1))
    now, joint = weights(model), weights(plain)
    for i, m in enumerate(("x1", "x2")):
        gap = float(gaps[i])
        strength = 0.2 * math.exp(math.tanh(gap)) if gap > 0 else 0.0
        for name in now:
            if name.startswith(f"encoders.{m}."):
                pulled = (joint[name] - now[name]) / 0.1
                assert torch.allclose(pulled, torch.full_like(pulled, strength * 0.1), atol=1e-4)
    assert torch.allclose(now["fusion.heads.x1.weight"], joint["fusion.heads.x1.weight"])
    assert all(torch.isfinite(v).all() for v in before.values())


def test_inforeg_closes_its_window():
    model, rule = make_model(), build_method("inforeg")
    rule.setup(model)
    for epoch in range(11):
        rule.trace = torch.tensor([1.0, 1.0 + epoch])
        rule.on_epoch_end(model, 1 + epoch, None, None)
        assert rule.memory["open"] == {"x1": epoch < 10, "x2": True}, epoch


def test_inforeg_traces_what_was_added_too():
    model, batch = make_model(dropout=0.0), make_batch()
    rule = build_method("inforeg", beta=5.0)
    rule.setup(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    rule.step(model, batch, sgd(model, 0.0))
    for i, m in enumerate(("x1", "x2")):
        grads = [p.grad for p in model.parameters_of(m) if p.dim() > 1]
        expected = sum(float((g**2).mean()) for g in grads)
        assert float(rule.trace[i]) == pytest.approx(expected, rel=1e-5)


def test_purity_by_hand():
    # two tight clusters; in the first, 3 of 4 samples are of class 0
    features = np.array([[0.0], [0.01], [0.02], [0.03], [1.0], [1.01]])
    assert purity(features, np.array([0, 0, 0, 1, 1, 1]), 2) == pytest.approx(5 / 6)
    assert purity(features, np.array([0, 0, 0, 0, 1, 1]), 2) == 1.0


def test_relearning_moves_towards_the_start():
    model, rule = make_model(), build_method("diagnose_relearn")
    rule.setup(model)
    start = weights(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    rule._move(model, "x2", 1, 0.25)
    for name, now in weights(model).items():
        shift = 0.75 if name.startswith("encoders.x2.") else 1.0
        assert torch.allclose(now, start[name] + shift, atol=1e-5), name


def test_relearning_happens_on_time(tmp_path):
    base = Experiment(
        dataset="synthetic", method="diagnose_relearn", epochs=5, width=2, data_options=SMALL,
        method_options={"period": 2, "times": 1},
    )  # fmt: skip
    run = run_experiment(base, tmp_path)
    state = torch.load(run.path / "checkpoint.pt", weights_only=True)["method"]
    assert state["memory._extra_state"]["done"] == 1
    joint = run_experiment(base.replace(method="joint", method_options={}), tmp_path).metrics()
    frame = run.metrics()
    same = [f[f["epoch"] <= 2].reset_index(drop=True) for f in (frame, joint)]
    assert same[0].equals(same[1]) and not frame.equals(joint)


def test_copies_by_hand():
    # phi of x1: 0.5 (one copy), 1.0 (none), 0.0 (two), -0.5 (three); x2: 1, 1.5, 0.4, 1
    phi = torch.tensor([[0.5, 1.0, 0.0, -0.5], [1.0, 1.5, 0.4, 1.0]])
    copies = copies_by_sample(phi, ("x1", "x2"))
    assert copies.index.tolist() == [0, 2, 2, 3, 3, 3, 2, 2]
    assert copies.keep[:6].tolist() == [[True, False]] * 6
    assert copies.keep[6:].tolist() == [[False, True]] * 2


def test_valuation_by_hand():
    class Votes(torch.nn.Module):
        """Class 0 where the sum of the inputs is above one half."""

        def __init__(self):
            super().__init__()
            self.p = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x1, x2):
            votes = (x1 + x2)[:, 0]
            return torch.stack([votes, torch.full_like(votes, 0.5)], 1) + self.p

    x1 = torch.tensor([[1.0], [1.0], [0.0], [-2.0]])
    x2 = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    data = MultimodalDataset({"x1": x1, "x2": x2}, torch.zeros(4, dtype=torch.long))
    phi = valuation(wrap(Votes(), ["x1", "x2"], call="kwargs"), data, zero="inputs")
    # v({1}), v({2}), v({1,2}) per sample: (1,1,2), (1,0,2), (0,0,0), (0,1,0)
    assert phi[0].tolist() == pytest.approx([1.0, 1.5, 0.0, -0.5])
    assert phi[1].tolist() == pytest.approx([1.0, 0.5, 0.0, 0.5])


def offset_model():
    """Encoders that make 3 of a zero input; late fusion votes for class 1 above a sum of 0."""
    dims = {"x1": 1, "x2": 1}
    model = MultimodalModel({m: torch.nn.Linear(1, 1) for m in dims}, build_fusion("late", dims, 2))
    with torch.no_grad():
        for m in dims:
            model.encoders[m].weight.fill_(1.0)
            model.encoders[m].bias.fill_(3.0)
            model.fusion.heads[m].weight.copy_(torch.tensor([[0.0], [1.0]]))
            model.fusion.heads[m].bias.zero_()
    return model


def test_valuation_zeroes_features():
    x1, x2 = torch.tensor([[-4.0], [1.0]]), torch.tensor([[0.5], [-8.0]])
    data = MultimodalDataset({"x1": x1, "x2": x2}, torch.tensor([1, 1]))
    # features (-1, 3.5), (4, -5); by coalition right: {1} no, {2} yes, both yes; {1} yes, no, no
    assert valuation(offset_model(), data).T.tolist() == [[0.5, 1.5], [0.5, -0.5]]
    # an absent input still leaves a feature of 3: {1} is right in both, too
    phi = valuation(offset_model(), data, zero="inputs")
    assert phi.T.tolist() == [[1.0, 1.0], [0.5, -0.5]]


def test_copies_learn_without_the_others_features():
    model = offset_model()
    x = {"x1": torch.tensor([[-4.0], [1.0]]), "x2": torch.tensor([[0.5], [-8.0]])}
    data = MultimodalDataset(x, torch.tensor([1, 1]))
    loaders = Loaders(BatchLoader(data, 8), {})
    rule = build_method("sample_valuation", warmup=0)
    rule.setup(model)
    rule.on_epoch_start(model, 0, loaders)
    (batch,) = loaders.train
    # phi (0.5, 1.5) and (0.5, -0.5): x1 alone once for either, x2 alone three times for the second
    assert batch.index.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert batch.inputs["x2"].flatten().tolist() == [0.5, -8.0, 0.5, -8.0, -8.0, -8.0, -8.0]
    output, loss = rule.compute(model, batch)
    rows = [[-1, 3.5], [4, -5], [-1, 0], [4, 0], [0, -5], [0, -5], [0, -5]]
    votes = torch.tensor(rows).sum(1)
    assert torch.allclose(output.logits[:, 1], votes)
    assert float(loss.detach()) == pytest.approx(float((1 + (-votes).exp()).log().mean()))
    loss.backward()
    # a copy gives the encoder that it leaves out no gradient
    own = torch.sigmoid(-votes) / 7
    expected = -float(own[[0, 1, 2, 3]].sum())
    assert float(model.encoders["x1"].bias.grad) == pytest.approx(expected)


def test_nothing_is_added_where_everybody_is_right():
    model = offset_model()
    data = MultimodalDataset({"x1": torch.ones(4, 1), "x2": torch.ones(4, 1)}, torch.ones(4).long())
    for level in ("sample", "modality"):
        loaders = Loaders(BatchLoader(data, 8), {})
        rule = build_method("sample_valuation", warmup=0, level=level)
        rule.on_epoch_start(model, 0, loaders)
        (batch,) = loaders.train
        assert len(batch.targets) == 4


def test_the_loader_shows_copies_with_zeroed_modalities():
    inputs = {"x1": torch.arange(1.0, 5)[:, None], "x2": 10 * torch.arange(1.0, 5)[:, None]}
    data = MultimodalDataset(inputs, torch.arange(4))
    loader = BatchLoader(data, 3, shuffle=True, seed=1)
    loader.copies = copies_by_sample(torch.tensor([[0.5, 1, 1, 1], [1, 1, 1, 0.5]]), ("x1", "x2"))
    assert len(loader) == 2
    rows = [
        (int(y), float(a), float(b))
        for batch in loader
        for y, a, b in zip(batch.targets, batch.inputs["x1"], batch.inputs["x2"], strict=True)
    ]
    whole = [(i, i + 1.0, 10.0 * (i + 1)) for i in range(4)]
    assert sorted(rows) == sorted([*whole, (0, 1.0, 0.0), (3, 0.0, 40.0)])
    loader.copies = None
    assert sum(len(b.targets) for b in loader) == 4


@pytest.mark.parametrize("zero", ["features", "inputs"])
@pytest.mark.parametrize("level", ["sample", "modality"])
def test_sample_valuation_adds_samples_after_the_warm_up(level, zero):
    data = load_dataset("synthetic", snr=(3.0, 0.2), **SMALL)
    torch.manual_seed(0)
    model, loaders = build_model(data, width=2), Loaders.of(data)
    rule = build_method("sample_valuation", warmup=1, level=level, zero=zero)
    rule.setup(model)
    rule.on_epoch_start(model, 0, loaders)
    assert loaders.train.copies is None
    rule.on_epoch_start(model, 1, loaders)
    found = loaders.train.copies
    assert found is not None and found.keep.shape[1] == 2
    if level == "sample":
        assert (found.keep.sum(1) == 1).all() and len(found.index) > 0
    again = build_method("sample_valuation", warmup=1, level=level, zero=zero)
    again.on_epoch_start(model, 1, loaders)
    assert torch.equal(loaders.train.copies.index, found.index)


def test_a_run_with_copies_repeats(tmp_path):
    base = Experiment(
        dataset="synthetic", method="sample_valuation", epochs=3, width=2, data_options=SMALL,
        method_options={"warmup": 1},
    )  # fmt: skip
    frame = run_experiment(base, tmp_path / "a").metrics()
    assert frame.equals(run_experiment(base, tmp_path / "b").metrics())
    assert frame["step"].max() > 3 * math.ceil(200 / 64)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnl", {"lam": -1}, "lam=-1"),
        ("inforeg", {"beta": -1}, "beta=-1"),
        ("inforeg", {"weight": -1}, "weight=-1"),
        ("diagnose_relearn", {"period": 0}, "period=0"),
        ("diagnose_relearn", {"strength": -1}, "strength=-1"),
        ("sample_valuation", {"warmup": -1}, "warmup=-1"),
        ("sample_valuation", {"level": "samples"}, "Did you mean 'sample'"),
        ("sample_valuation", {"zero": "input"}, "Did you mean 'inputs'"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
