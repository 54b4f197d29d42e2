"""Sample valuation: values and copies by hand, and what training makes of them."""

from __future__ import annotations

import math

import pytest
import torch

from msam_lib.data import BatchLoader, MultimodalDataset, load_dataset
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.methods.sample_valuation import copies_by_sample, valuation
from msam_lib.models import MultimodalModel, build_fusion, build_model, wrap
from msam_lib.training import Loaders

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


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


@pytest.mark.parametrize("best", [0, 1])
def test_the_strongest_modality_is_left_out_of_a_share_of_the_samples(best):
    n = 30
    phi = torch.full((2, n), 0.5)
    phi[best] = 1.5  # ahead by 1
    rule = build_method("sample_valuation", level="modality", strength=0.9)
    copies = rule._by_modality(phi, ("x1", "x2"), torch.Generator().manual_seed(0))
    assert len(set(copies.index.tolist())) == int(2 / 3 * 0.9 * n)
    assert not copies.keep[:, best].any() and copies.keep[:, 1 - best].all()
