"""`encoders`: curvature, probes and margins of every encoder, from training to file."""

from __future__ import annotations

import pytest
import torch

from msam_lib.cli.main import main
from msam_lib.data.containers import Modality, MultimodalDataset
from msam_lib.errors import MsamError
from msam_lib.experiments.comparison import plan_rows
from msam_lib.experiments.freeze import encoders
from msam_lib.experiments.freeze.encoders import confidence_margins, measure_encoders
from msam_lib.labels import Case
from msam_lib.models import build_model
from msam_lib.models.base import Model, Output
from msam_lib.results.frozen import load


class Given(Model):
    """Its modalities' logits are their inputs."""

    def __init__(self, modalities):
        super().__init__(modalities)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs):
        return Output(sum(inputs.values()), unimodal=dict(inputs))


def _data(**inputs):
    x = {m: torch.tensor(v).log() for m, v in inputs.items()}
    return MultimodalDataset(x, torch.tensor([0, 2]))


def test_margins_by_hand():
    # p[y] - the largest other: .5 - .3 and .1 - .7; .2 - .5 and .9 - .08
    data = _data(x1=[[0.5, 0.3, 0.2], [0.7, 0.2, 0.1]], x2=[[0.2, 0.5, 0.3], [0.02, 0.08, 0.9]])
    found = confidence_margins(Given(["x1", "x2"]), data)
    assert found == pytest.approx({"x1": (0.2 - 0.6) / 2, "x2": (-0.3 + 0.82) / 2}, abs=1e-6)


def test_a_model_without_unimodal_logits_has_no_margins():
    data = _data(x1=[[0.5, 0.3, 0.2], [0.7, 0.2, 0.1]], x2=[[0.2, 0.5, 0.3], [0.02, 0.08, 0.9]])
    specs = {m: Modality("vector", (3,)) for m in data.inputs}
    model = build_model(specs, classes=3, width=4, fusion="maxout")
    with pytest.raises(MsamError, match="no per-modality logits"):
        confidence_margins(model, data)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    place = tmp_path_factory.mktemp("encoders")
    rows = [Case("joint", {}), Case("masam", {})]
    plan = plan_rows("synthetic", "late", rows, seeds=(0, 1), preset="smoke", folder=place)
    same = {"store": place / "runs", "folder": place, "progress": False}
    measure_encoders(plan, **same)
    return plan, same, load("encoders", place)


def test_every_encoder_has_every_measurement(frozen):
    _, _, frame = frozen
    assert set(frame["label"]) == {"joint", "masam"} and set(frame["seed"]) == {0, 1}
    names = set(frame["modality"])
    once = ["eigenvalue", "spectral_rms", "probe_accuracy", "margin"]
    counts = frame[frame["metric"].isin(once)].groupby(["label", "seed", "metric"]).size()
    assert (counts == len(names)).all() and len(counts) == 2 * 2 * len(once)
    epochs = frame[frame["metric"] == "hessian_trace"].groupby("label")["epoch"].nunique()
    assert (epochs >= 2).all()
    assert set(frame.loc[frame["metric"] == "score", "label"]) == {"masam"}
    assert {"commit", "seeds", "encoders"} <= set(frame.attrs["provenance"])


def test_the_spectrum_is_that_of_the_trace(frozen):
    _, _, frame = frozen
    ends = frame[frame["epoch"] == frame["epoch"].max()]
    at = ["label", "seed", "modality"]
    table = ends.pivot_table(index=at, columns="metric", values="value")
    # the root mean square of all eigenvalues is at most the largest one in size
    assert (table["spectral_rms"] > 0).all()
    assert (table["spectral_rms"] < 1.05 * table["eigenvalue"].abs()).mean() > 0.7


def test_nothing_is_measured_twice(frozen, monkeypatch):
    plan, same, frame = frozen
    monkeypatch.setattr(encoders, "trained_model", lambda *a: pytest.fail("measured again"))
    measure_encoders(plan, **same)
    assert load("encoders", same["folder"]).equals(frame)


def test_from_the_command_line(tmp_path, capsys):
    command = "encoders synthetic --methods joint --seeds 0 --preset smoke --jobs 1".split()
    assert main([*command, "--store", str(tmp_path / "runs"), "--out", str(tmp_path)]) == 0
    assert "encoders_synthetic.csv.gz" in capsys.readouterr().out
