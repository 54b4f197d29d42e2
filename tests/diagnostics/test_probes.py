"""Probes of modalities, the trainer's probes, what `diagnose` leaves in a run, and the pictures of
it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from msam_lib import diagnostics as d
from msam_lib.data import Batch, DataSplits, Modality, MultimodalDataset
from msam_lib.errors import MsamError
from msam_lib.methods import build_method
from msam_lib.models import wrap
from msam_lib.training import Loaders, Trainer
from tests.diagnostics.tools import assert_untouched, fingerprint
from tests.helpers import make_batch, make_model, sgd


def splits(m: int = 2, n: int = 60) -> DataSplits:
    parts = []
    for seed in range(3):
        batch = make_batch(m, n, seed=seed)
        batch.inputs["x2"][:, 0] += 4 * batch.targets  # x2 tells the class, x1 does not
        parts.append(MultimodalDataset(batch.inputs, batch.targets))
    specs = {"x1": Modality("image", (1, 6, 6)), "x2": Modality("vector", (5,))}
    return DataSplits("made", *parts, modalities=specs, classes=("a", "b", "c"), provenance="")


def test_linear_probe_finds_the_informative_modality():
    data = splits()
    found = d.linear_probe(make_model("late", 2), data.train, data.test)
    assert found["x2"] > 0.8 > found["x1"] + 0.2


def test_the_probe_learns_from_training_samples_alone():
    data = splits()
    wrong = MultimodalDataset(data.test.inputs, (data.test.targets + 1) % 3)
    assert d.linear_probe(make_model("late", 2), data.train, wrong)["x2"] < 0.2


def test_noise_is_in_units_of_the_inputs_spread():
    net = torch.nn.Bilinear(3, 4, 2)
    model, seen = wrap(net, ["x1", "x2"], call="args"), []
    net.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = 5 + 30 * torch.randn(400, 3)
    batch = Batch({"x1": x, "x2": torch.randn(400, 4)}, torch.arange(400) % 2)
    d.noisy_modality_curve(model, batch, "x1", [0.0, 2.0])
    assert torch.equal(seen[0], x)
    assert float((seen[1] - x).std() / x.std()) == pytest.approx(2, rel=0.1)


def test_alignment_is_one_for_a_single_modality_and_matches_autograd():
    model, batch = make_model("late", 2), make_batch(2, 20)
    found = d.gradient_alignment(model, batch)
    model.eval()
    weights = list(model.blocks()["x1"].values())
    out = model(batch.inputs)
    pair = [
        torch.cat(
            [
                g.flatten()
                for g in torch.autograd.grad(
                    torch.nn.functional.cross_entropy(z, batch.targets), weights, retain_graph=True
                )
            ]
        )
        for z in (out.logits, out.unimodal["x1"])
    ]
    cosine = float(torch.cosine_similarity(*pair, dim=0))
    assert found["x1"].cosine == pytest.approx(cosine, rel=1e-4)
    assert found["x1"].fused_norm == pytest.approx(float(pair[0].norm()), rel=1e-4)
    assert d.gradient_norms(model, batch)["x1"] == pytest.approx(float(pair[0].norm()), rel=1e-4)
    early = d.gradient_alignment(make_model("gated", 3), make_batch(3, 20))
    assert set(early) == {"x1", "x2", "x3"}
    assert all(-1 <= a.cosine <= 1 for a in early.values())


def test_linear_cka():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=g)
    q = torch.linalg.qr(torch.randn(5, 5, generator=g)).Q
    assert d.linear_cka(x, 2 * x @ q + 3) == pytest.approx(1, abs=1e-5)  # rotations, scale, shift
    assert d.linear_cka(x, torch.randn(200, 5, generator=g)) < 0.1
    assert np.isnan(d.linear_cka(x, torch.ones(200, 2)))
    with pytest.raises(MsamError, match="same N"):
        d.linear_cka(x, x[:3])
    found = d.feature_similarity(make_model("late", 3), make_batch(3, 20))
    assert set(found) == {("x1", "x2"), ("x1", "x3"), ("x2", "x3")}


@pytest.mark.parametrize("m", [2, 3])
def test_missing_and_noisy_modalities(m):
    model, batch = make_model("late", m), make_batch(m, 40)
    before = fingerprint(model)
    rates = [0.0, 0.3, 1.0]
    found = d.missing_modality_curve(model, batch, rates)
    assert_untouched(model, before)
    model.eval()
    with torch.no_grad():
        full = float((model(batch.inputs).logits.argmax(1) == batch.targets).double().mean())
        none = float(
            (model(batch.inputs, present=()).logits.argmax(1) == batch.targets).double().mean()
        )
    assert found["x1"][0] == pytest.approx(full)
    assert (found["any"][0], found["any"][2]) == (pytest.approx(full), pytest.approx(none))
    assert found["x1"][1] == pytest.approx(0.7 * found["x1"][0] + 0.3 * found["x1"][2])
    curve = d.noisy_modality_curve(model, batch, "x1", [0.0, 50.0])
    assert curve[0] == pytest.approx(full)
    with pytest.raises(MsamError, match="Unknown modality"):
        d.noisy_modality_curve(model, batch, "x9")
    with pytest.raises(MsamError, match="rates"):
        d.missing_modality_curve(model, batch, [1.5])


def test_what_goes_missing_is_what_was_there():
    x1 = torch.eye(3).repeat(4, 1)
    net = torch.nn.Bilinear(3, 1, 3, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.eye(3)[:, :, None])
    model = wrap(net, ["x1", "x2"], call="args")  # x1 x2, so nothing without both: then class 0
    batch = Batch({"x1": x1, "x2": torch.ones(12, 1)}, torch.arange(12) % 3)
    rates = np.array([0.0, 0.2, 1.0])
    found = d.missing_modality_curve(model, batch, rates)
    assert found["any"] == pytest.approx((1 - rates) ** 2 + (1 - (1 - rates) ** 2) / 3)
    assert found["x2"] == pytest.approx(1 - rates + rates / 3)


def train(probes) -> Trainer:
    model = make_model("late", 2)
    loaders = Loaders.of(splits(), 20, train_part=40)
    trainer = Trainer(
        model,
        build_method("joint"),
        loaders,
        optimizer=sgd(model),
        probes=probes,
        progress=False,
        device="cpu",
    )
    trainer.fit(2)
    return trainer


def test_trainer_probes_are_kept_and_change_nothing():
    probes = [
        d.TraceProbe(every=2, probes=3, samples=20),
        d.AlignmentProbe(),
        d.LinearProbe(every=2),
        d.SharpnessProbe(every=2, measure="keskar", blocks=("x1", "all"), options={"starts": 1}),
        d.as_probe(lambda model, data: {"x1": len(data)}, "seen"),
    ]
    with_probes, without = train(probes), train([])
    for (n, p), (_, q) in zip(
        with_probes.model.named_parameters(), without.model.named_parameters(), strict=True
    ):
        assert torch.equal(p, q), n
    frame = with_probes.history.frame()
    own = frame[frame["split"] == "probe"]
    assert set(own[own["metric"] == "hessian_trace"]["epoch"]) == {0, 2}
    assert set(own[own["metric"] == "hessian_trace"]["modality"]) == {"x1", "x2", "fusion", "fused"}
    assert (own[own["metric"] == "hessian_trace_se"]["value"] > 0).all()
    assert set(own[own["metric"] == "gradient_cosine"]["epoch"]) == {0, 1, 2}
    assert set(own[own["metric"] == "sharpness_keskar"]["modality"]) == {"x1", "fused"}
    assert (own[own["metric"] == "seen"]["value"] == 40).all()
    with pytest.raises(MsamError, match="every=0"):
        d.TraceProbe(every=0)
