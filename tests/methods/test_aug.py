"""AUG: its loss by hand, when classifiers grow, and whom a turn moves."""

from __future__ import annotations

import math

import pytest
import torch

from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from tests.helpers import make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def rule(**options):
    made = build_method("aug", **options)
    made.setup(make_model())
    return made


def test_loss_by_hand():
    a, b, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([0])

    def ce(x, y=0.0):  # of class 0 for logits (x, y)
        return math.log(1 + math.exp(y - x))

    made = rule()
    assert float(made.loss_of([a], y)) == pytest.approx(ce(1.0), abs=1e-5)
    known = 1 / (1 + math.exp(-1))
    expected = ce(1.0, 2.0) + ce(1.0) + (1 - known / 2) * ce(0.0, 2.0)
    assert float(made.loss_of([a, b], y)) == pytest.approx(expected, abs=1e-5)


def test_the_weakest_grows_where_it_lags():
    made = rule(period=2, largest=2)
    for epoch, sums, layers in (
        (0, [5.0, 1.0], [0, 0]),
        (1, [5.0, 1.0], [0, 1]),
        (2, [5.0, 1.0], [0, 2]),
        (3, [1.0, 5.0], [0, 2]),
        (4, [5.0, 1.0], [0, 2]),
        (6, [1.0, 1.005], [0, 2]),
        (8, [1.0, 1.2], [1, 2]),
    ):
        made.sums = torch.tensor(sums)
        made.on_epoch_start(None, epoch, None)
        assert made.layers.tolist() == layers, epoch
        assert not made.sums.any()


@pytest.mark.parametrize(
    ("total", "period", "grown"),
    [
        (40, None, [1, 4, 8, 12, 16]),  # a tenth of the run, and after the first epoch
        (9, None, list(range(1, 12))),  # of a short run, every epoch, up to the most that fit
        (None, None, [1, 20]),  # as published, where nobody says how long the run is
        (40, 7, [1, 7, 14]),
    ],
)
def test_a_decision_every_tenth_of_the_run(total, period, grown):
    made = rule(period=period)
    made.total_epochs, found = total, []
    for epoch in range(21 if total is None else 20):
        made.sums, before = torch.tensor([5.0, 1.0]), made.layers.tolist()
        made.on_epoch_start(None, epoch, None)
        if made.layers.tolist() != before:
            found.append(epoch)
    assert found == grown


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_added_embeddings_are_trained_in_the_paper_only(variant):
    model = make_model()
    made = build_method("aug", variant=variant)
    made.setup(model)
    made.layers = torch.tensor([1, 0])
    before = [p.detach().clone() for p in made.embeddings[0][1].parameters()]
    made.step(model, make_batch(), sgd(model, 0.1))
    after = list(made.embeddings[0][1].parameters())
    same = all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert same == (variant == "released")


def test_the_fusion_learns_and_leaves_the_encoders_alone():
    model, batch = make_model(), make_batch()
    made = build_method("aug", classifier_lr=1e-9)
    made.setup(model)
    with torch.no_grad():
        for p in made.out.parameters():
            p.zero_()  # so the classifiers pull at nothing
    before = weights(model)
    made.step(model, batch, sgd(model, 0.1))
    for name, p in weights(model).items():
        moved = not torch.equal(p, before[name])
        assert moved == name.startswith("fusion"), name


def test_predictions_are_weighted_sums():
    model, batch = make_model().eval(), make_batch()
    made = rule(weights={"x1": 2.0})
    h = model.encode(batch.inputs)
    assert torch.allclose(made.predict(model, batch), 2 * made.terms(0, h["x1"])[0])
    even = rule()
    both = even.terms(0, h["x1"])[0] + even.terms(1, h["x2"])[0]
    assert torch.allclose(even.predict(model, batch), both)


def test_a_run_grows_and_repeats(tmp_path):
    base = Experiment(
        dataset="synthetic", method="aug", epochs=4, width=2,
        data_options=SMALL | {"snr": (4.0, 0.3)}, method_options={"period": 1},
    )  # fmt: skip
    frame = run_experiment(base, tmp_path / "a").metrics()
    assert frame.equals(run_experiment(base, tmp_path / "b").metrics())
    layers = frame[(frame.metric == "layers") & (frame.modality == "x2")]
    assert layers["value"].max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lam": 0}, "lam=0"), ({"period": 0}, "period=0"), ({"variant": "code"}, "Available: paper")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        build_method("aug", **options)
