"""`diagnose` stores everything, and every picture of it is drawn."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from msam_lib import diagnostics as d
from msam_lib.errors import MsamError
from msam_lib.experiments.build import load_data, untrained_model
from msam_lib.experiments.diagnosis import diagnose
from msam_lib.experiments.experiment import Experiment
from msam_lib.plots import curvature, landscape, sharpness
from tests.helpers import make_batch, make_model


class FinishedRun:
    """What `diagnose` asks of a run."""

    def __init__(self, path) -> None:
        self.path = path
        experiment = Experiment(dataset="digits", width=2, encoder="mlp")
        self.config = experiment.config()

    def load(self, name, device="cpu"):
        assert name == "model.pt"
        experiment = Experiment.from_dict(self.config)
        torch.manual_seed(0)
        return untrained_model(experiment, load_data(experiment)).to(device).state_dict()


def test_diagnose_stores_everything(tmp_path):
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
    figure = landscape.surfaces({"one": plane, "two": plane})
    assert "centre" in landscape.surfaces_alt({"one": plane})
    figure.savefig(tmp_path / "a.png")
    with pytest.raises(MsamError, match="Unknown diagnostic"):
        diagnose(FinishedRun(tmp_path), ("hesian",))


def test_pictures(tmp_path):
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
    code = (
        "import sys; import msam_lib.plots.landscape, msam_lib.plots.curvature, "
        "msam_lib.plots.sharpness; from msam_lib.diagnostics import kendall_tau, Landscape; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
