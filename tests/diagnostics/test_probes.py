"""Probes of modalities, the trainer's probes, what `diagnose` leaves in a run, and the pictures of
it.
"""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch

from msam_lib import diagnostics as d
from msam_lib.data import DataSplits, Modality, MultimodalDataset
from msam_lib.diagnose import diagnose
from msam_lib.errors import MsamError
from msam_lib.methods import build_method
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


class FinishedRun:
    """What `diagnose` asks of a run."""

    def __init__(self, path) -> None:
        from msam_lib.config import Experiment

        self.path = path
        self.experiment = Experiment(width=2, encoder="mlp", modalities=("audio", "visual"))
        self.config = {"width": 2, "encoder": "mlp", "modalities": ("audio", "visual")}

    def model(self, device="cpu"):
        torch.manual_seed(0)
        return self.experiment.build_model(self.experiment.load_data()).to(device)


def test_diagnose_stores_everything(tmp_path):
    from msam_lib.plots.landscape import surfaces, surfaces_alt

    few = {
        "samples": 40,
        "probes": 2,
        "steps": 3,
        "eigenvalues": 1,
        "progress": False,
        "device": "cpu",
    }
    found = diagnose(FinishedRun(tmp_path), ("hessian", "landscape", "sharpness", "probes"), **few)
    assert {p.name for p in found.values()} == {p.name for p in tmp_path.iterdir()}
    rows = list(csv.DictReader((tmp_path / "hessian.csv").open()))
    assert {r["quantity"] for r in rows} == {
        "trace", "gauss_newton_trace", "eigenvalue_1", "frobenius_norm",
    }  # fmt: skip
    assert {r["samples"] for r in rows} == {"40"}
    sharp = json.loads((tmp_path / "sharpness.json").read_text())
    assert set(sharp["gap"]) == {"audio", "visual", "fused"}
    assert len(sharp["sharpness"]) == 4 * 5
    assert set(json.loads((tmp_path / "probes.json").read_text())["linear_probe"]) == {
        "audio",
        "visual",
    }
    plane = d.Landscape.load(found["landscape-audio-visual"])
    figure = surfaces({"one": plane, "two": plane})
    assert "centre" in surfaces_alt({"one": plane})
    figure.savefig(tmp_path / "a.png")
    with pytest.raises(MsamError, match="Unknown diagnostic"):
        diagnose(FinishedRun(tmp_path), ("hesian",))


def test_pictures(tmp_path):
    from msam_lib.plots import curvature, landscape, sharpness

    rng = np.random.default_rng(0)
    same = {"dataset": "digits", "fusion": "late", "split": "probe"}
    rows = [
        same
        | {
            "label": label,
            "method": label,
            "seed": s,
            "run": f"{label}{s}",
            "epoch": e,
            "modality": m,
        }
        | {"metric": metric, "value": float(rng.random())}
        for label in ("joint", "sam")
        for s in (0, 1)
        for e in range(4)
        for m in ("audio", "visual", "fused")
        for metric in ("hessian_trace", "hessian_trace_se", "gradient_cosine")
    ]
    frame = pd.DataFrame(rows)
    for part in (frame, frame[frame["seed"] == 0]):
        figure = curvature.trace_curves(part)
        assert len([a for a in figure.axes if a.get_visible()]) == 2
        points = curvature.bands(part, "hessian_trace")
        assert (points["low"] < points["high"]).all()
    assert "audio" in curvature.trace_alt(frame)
    assert sharpness.alignment_curves(frame).axes[0].get_ylim() == (-1.05, 1.05)
    density = d.spectral_density(make_model("late", 2), make_batch(2, 9), "x1", probes=1, steps=5)
    curvature.spectral_density_plot({"x1": density}).savefig(tmp_path / "a.png")
    gap = pd.DataFrame(
        {
            "measure": ["keskar"] * 4 + ["sam"] * 4,
            "value": [1, 2, 3, 4, 1, 0, 2, 3],
            "gap": [1, 2, 4, 3] * 2,
        }
    )
    taus = {k: d.kendall_tau(g["value"], g["gap"]) for k, g in gap.groupby("measure")}
    figure = sharpness.sharpness_against_gap(gap, taus)
    assert "τ = 0.67" in figure.axes[0].get_title()
    assert "τ" in sharpness.sharpness_alt(gap, taus)
    with pytest.raises(MsamError, match="also needs"):
        sharpness.sharpness_against_gap(gap[["gap"]])
    line = d.line(make_model("late", 2), make_batch(2, 9), steps=3)
    landscape.lines({"a": line}).savefig(tmp_path / "b.png")
    for call in (lambda: landscape.surfaces({"a": line}), lambda: landscape.surfaces({})):
        with pytest.raises(MsamError):
            call()
    model, batch = make_model("late", 2), make_batch(2, 9)
    plane = d.plane(model, batch, steps=3)
    with pytest.raises(MsamError, match="Unknown quantity"):
        landscape.surfaces({"a": plane}, quantity="speed")
    flat = landscape.shared_limits({"a": plane}, ceiling=plane.loss.min())
    assert flat[1] > flat[0]


def test_pictures_import_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; import msam_lib.plots.landscape, msam_lib.plots.curvature, "
        "msam_lib.plots.sharpness; "
        "from msam_lib.diagnostics import kendall_tau, Landscape; import msam_lib.diagnose; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
