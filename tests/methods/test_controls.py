"""The two controls: modality dropout, and joint training with fixed unimodal losses."""

from __future__ import annotations

import pytest
import torch

from msam_lib.data import load_dataset
from msam_lib.errors import MsamError
from msam_lib.methods import build_method
from msam_lib.methods.modality_dropout import kept
from msam_lib.models import build_model
from msam_lib.training import Loaders, Trainer, build_optimizer
from tests.helpers import make_batch, make_model, sgd

SMALL = {"n_train": 300, "n_val": 60, "n_test": 200}


@pytest.mark.parametrize("m", [1, 2, 3])
def test_modalities_stay_as_often_as_asked_and_one_always_does(m):
    draws = torch.rand(20_000, m)
    stays = kept(draws, 0.4)
    assert stays.any(1).all()
    # alone it stays with 0.6; where all would go, one of the m stays
    expected = 0.6 + 0.4**m / m
    assert stays.float().mean(0).tolist() == pytest.approx([expected] * m, abs=0.02)


def test_left_out_inputs_are_zeros_or_the_baseline():
    model, batch = make_model(), make_batch(n=200)
    rule = build_method("modality_dropout", probability=0.5)
    torch.manual_seed(0)
    gone = {m: (x.flatten(1) == 0).all(1) for m, x in rule.thinned(model, batch.inputs).items()}
    assert (
        all(50 < int(v.sum()) < 100 for v in gone.values()) and not (gone["x1"] & gone["x2"]).any()
    )
    given = {"x1": torch.full((1, 6, 6), 3.0), "x2": torch.full((5,), 4.0)}
    model.set_baseline(given)
    torch.manual_seed(0)
    for m, x in rule.thinned(model, batch.inputs).items():
        assert torch.equal(x[gone[m]], given[m].expand_as(x[gone[m]]))
        assert torch.equal(x[~gone[m]], batch.inputs[m][~gone[m]])


def test_dropout_makes_every_modality_useful_on_its_own():
    data = load_dataset("synthetic", snr=(3.0, 1.0), **SMALL)
    accuracy = {}
    for probability in (0.0, 0.5):
        torch.manual_seed(0)
        model = build_model(data, "maxout", width=4, hidden=(16, 8))
        method = build_method("modality_dropout", probability=probability)
        optimizer = build_optimizer(model.parameters(), lr=0.05)
        trainer = Trainer(model, method, data, optimizer=optimizer, progress=False)
        history = trainer.fit(8)
        accuracy[probability] = history.last("accuracy", modality="x2")
    assert accuracy[0.5] > accuracy[0.0] + 0.05


def test_heads_beside_a_fusion_learn_from_their_losses():
    data = load_dataset("synthetic", snr=(3.0, 2.0), **SMALL)
    torch.manual_seed(0)
    model = build_model(data, "maxout", width=4, hidden=(16, 8), unimodal_heads=True)
    optimizer = build_optimizer(model.parameters(), lr=0.05)
    loaders = Loaders.of(data)
    trainer = Trainer(
        model, build_method("joint_unimodal"), loaders, optimizer=optimizer, progress=False
    )
    history = trainer.fit(8)
    for m in model.modalities:  # four classes: chance is a quarter
        assert history.last("accuracy_head", modality=m) > 0.4


def test_the_weight_is_of_the_sum_of_the_unimodal_losses():
    model, batch = make_model(m=3), make_batch(3)
    output = model(batch.inputs)
    values = [
        float(build_method("joint_unimodal", weight=w).loss(output, batch).detach())
        for w in (0, 1, 2)
    ]
    each = [
        float(torch.nn.functional.cross_entropy(z.detach(), batch.targets))
        for z in output.unimodal.values()
    ]
    assert values[1] - values[0] == pytest.approx(sum(each), rel=1e-5)
    assert values[2] - values[1] == pytest.approx(sum(each), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("modality_dropout", {"probability": 1.0}),
        ("modality_dropout", {"probability": -0.1}),
        ("joint_unimodal", {"weight": -1.0}),
    ],
)
def test_bad_options_are_refused(name, options):
    ((option, value),) = options.items()
    with pytest.raises(MsamError, match=f"{option}={value}"):
        build_method(name, **options)


def test_a_step_logs_a_finite_loss():
    model = make_model()
    logs = build_method("modality_dropout", probability=0.9).step(model, make_batch(), sgd(model))
    assert torch.isfinite(logs["loss"])
