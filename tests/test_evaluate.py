"""Measurements against direct computation, scikit-learn and closed forms; schedules by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from msam_lib.data import load_dataset
from msam_lib.errors import MsamError
from msam_lib.experiments.build import build_trainer, untrained_model
from msam_lib.methods import Method
from msam_lib.tasks.classification import calibration_error, macro_f1
from msam_lib.training import (
    build_optimizer,
    build_schedule,
    evaluate,
)
from tests.helpers import make_model
from tests.test_training import SMALL, small


@pytest.mark.parametrize("snr", [(1.0, 3.0), (3.0, 1.0)])
def test_the_dominant_modality_of_synthetic_data_is_found(snr):
    history = build_trainer(small(data_options=SMALL | {"snr": snr}, epochs=6, lr=0.1)).fit(6)
    shares = [history.last("contribution", modality=m) for m in ("x1", "x2")]
    assert (shares[0] > shares[1]) == (snr[0] > snr[1])
    assert sum(shares) == pytest.approx(1)


def test_the_share_of_a_modality_rises_with_its_signal():
    shares = []
    for snr in (0.5, 1.5, 4.0):
        options = {"n_train": 400, "n_val": 50, "n_test": 400, "snr": (snr, 1.5)}
        history = build_trainer(small(data_options=options, epochs=6, lr=0.1)).fit(6)
        shares.append(history.last("contribution", modality="x1"))
    assert shares == sorted(shares)
    assert shares[-1] - shares[0] > 0.2


@pytest.mark.parametrize("fusion", ["late", "maxout"])
@pytest.mark.parametrize("m", [2, 3])
def test_evaluate_agrees_with_direct_computation(fusion, m):
    data = load_dataset("synthetic", n_modalities=m, **SMALL)
    options = {"fusion_options": {"hidden": (8, 6)}} if fusion == "maxout" else {}
    model = untrained_model(small(fusion=fusion, **options), data).eval()
    rows = {(r.modality, r.metric): r.value for r in evaluate(model, data.test, per_class=True)}
    with torch.no_grad():
        batch = data.test[:]
        for name in model.modalities:
            masked = {k: x if k == name else torch.zeros_like(x) for k, x in batch.inputs.items()}
            hits = model(masked).logits.argmax(-1) == batch.targets
            assert rows[name, "accuracy"] == pytest.approx(hits.double().mean().item())
        if m == 2:  # AGM's response of the first modality: (F(12) - F(2) + F(1)) / 2
            f = {k: model(batch.inputs, present=k).logits for k in [("x1", "x2"), ("x1",), ("x2",)]}
            response = f["x1", "x2"] - f[("x2",)] + f[("x1",)]
            expected = (response.argmax(-1) == batch.targets).double().mean().item()
            assert rows["x1", "accuracy_shapley"] == pytest.approx(expected)
        phi = sum(rows[name, "phi"] for name in model.modalities)
        empty = (model(batch.inputs, present=[]).logits.argmax(-1) == batch.targets).double().mean()
        assert phi == pytest.approx(rows["fused", "accuracy"] - empty.item())


def test_macro_f1_agrees_with_scikit_learn():
    g = torch.Generator().manual_seed(0)
    y, p = torch.randint(4, (50,), generator=g), torch.randint(3, (50,), generator=g)
    assert macro_f1(p, y, 5) == pytest.approx(f1_score(y, p, average="macro"))


def test_calibration_error_by_hand():
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]]))
    y = torch.tensor([0, 1, 0, 1])
    # the bin of 0.9: accuracy 0.5, gap 0.4, half of the samples; that of 0.6: accuracy 1, gap 0.4
    assert calibration_error(logits, y) == pytest.approx(0.4, abs=1e-6)


def test_the_prediction_is_the_methods():
    class Turned(Method):
        def predict(self, model, batch):
            return -model(batch.inputs).logits

    data = load_dataset("synthetic", **SMALL)
    model = untrained_model(small(), data).eval()
    rows = {(r.modality, r.metric): r.value for r in evaluate(model, data.test, method=Turned())}
    hits = model(data.test.inputs).logits.argmin(-1) == data.test.targets
    assert rows["fused", "accuracy"] == pytest.approx(hits.double().mean().item())


def test_agms_share_counts_the_empty_coalition_as_nothing():
    data = load_dataset("synthetic", **SMALL)
    model = untrained_model(small(), data).eval()
    with torch.no_grad():  # an intercept that would decide alone
        for head in model.fusion.heads.values():
            head.bias.copy_(50 * torch.arange(len(head.bias)))
    rows = {(r.modality, r.metric): r.value for r in evaluate(model, data.test)}
    f = {k: model(data.test.inputs, present=k).logits for k in [("x1", "x2"), ("x1",), ("x2",)]}
    for own, other in (("x1", "x2"), ("x2", "x1")):
        response = f["x1", "x2"] - f[(other,)] + f[(own,)]
        hits = response.argmax(-1) == data.test.targets
        assert rows[own, "accuracy_shapley"] == pytest.approx(hits.double().mean().item())


def test_the_contribution_within_a_class_is_that_of_its_samples():
    data = load_dataset("synthetic", **SMALL)
    model = untrained_model(small(), data).eval()
    rows = {(r.modality, r.metric): r.value for r in evaluate(model, data.test, per_class=True)}
    for c in range(len(data.classes)):
        own = data.test.subset((data.test.targets == c).nonzero().flatten())
        alone = {(r.modality, r.metric): r.value for r in evaluate(model, own)}
        for m in model.modalities:
            assert rows[m, f"contribution/{c}"] == alone[m, "contribution"]


def test_schedules_by_hand():
    def rates(name, **options):
        optimizer = build_optimizer(make_model().parameters(), lr=1.0)
        schedule = build_schedule(optimizer, name, steps=8, **options)
        out = []
        for _ in range(8):
            out.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return np.round(out, 6).tolist()

    assert rates("constant", warmup=3) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    assert rates("step", period=3) == [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01]
    assert rates("step", period=2, warmup=3) == [0.25, 0.5, 0.75, 1, 1, 0.1, 0.1, 0.01]
    cosine = rates("cosine")
    assert cosine[0] == 1
    assert cosine[4] == 0.5
    late = rates("cosine", warmup=2)  # from full at step 2 to half midway between 2 and 8
    assert (late[2], late[5]) == (1, 0.5)
    with pytest.raises(MsamError, match="period=0"):
        rates("step")
