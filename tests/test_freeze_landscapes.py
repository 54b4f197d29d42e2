"""Landscapes from run to frozen rows to picture, Hessian traces in runs, and `diagnose`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from msam_lib.cli.main import main
from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.comparison import PlannedRow
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze import landscapes as freezing
from msam_lib.results.landscape import Landscape, landscapes, rises, surfaces_by_block
from msam_lib.results.rows import traced_rows
from tests import fabricated

SMALL = {"n_train": 60, "n_val": 20, "n_test": 20}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    base = Experiment(dataset="synthetic", epochs=2, width=2, traces=1, data_options=SMALL)
    store = tmp_path_factory.mktemp("runs")
    return [run_experiment(base.replace(method=m), store) for m in ("joint", "sam")]


def test_frozen_rows_give_the_landscape_back(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(freezing, "STEPS", 5)
    path = freezing.freeze_landscapes(runs, folder=tmp_path)
    found = landscapes(pd.read_csv(path))
    assert set(found) == {"Joint training", "SAM"}
    kept = Landscape.load(next(runs[0].path.glob("landscape-all-5-*.npz")))
    assert np.allclose(found["Joint training"].loss, kept.loss, rtol=1e-5)
    assert np.allclose(found["Joint training"].accuracy, kept.accuracy, rtol=1e-5)
    before = path.read_bytes()
    assert freezing.freeze_landscapes(runs, folder=tmp_path).read_bytes() == before


def test_surfaces_of_all_weights_and_of_each_encoder(runs, tmp_path):
    """The runs are found in the store; the surface is the first seed's, the rise every seed's."""
    config = Experiment.from_dict(runs[0].config)
    plan = [PlannedRow("joint", [config, config.replace(seed=1)])]
    store = runs[0].path.parent
    path = freezing.measure_surfaces(
        plan, "surfaces", steps=3, store=store, folder=tmp_path, jobs=1
    )
    frame = pd.read_csv(path)
    found = surfaces_by_block(frame)["Joint training"]
    assert set(found) == {"all", "x1", "x2"}
    kept = Landscape.load(runs[0].path / "landscape-x1-3-300-0.npz")
    assert np.allclose(found["x1"].loss, kept.loss, rtol=1e-4)
    centre = {round(s.at_origin, 3) for s in found.values()}
    assert len(centre) == 1  # every plane goes through the model
    assert not np.allclose(found["x1"].loss, found["x2"].loss)
    rise = rises(frame)["x1"]["Joint training"]
    assert list(rise.index) == [0, 1]
    assert rise[0] == pytest.approx(kept.rise(), rel=1e-4) and rise[1] != rise[0]
    with pytest.raises(MsamError, match="No method to measure"):
        freezing.measure_surfaces([], "surfaces", store=store, folder=tmp_path)


def test_rows_and_axes_are_not_mixed_up():
    bowl = landscapes(fabricated.landscapes(["joint"]))["Joint training"]
    assert np.allclose(bowl.loss, bowl.x[:, None] ** 2 + bowl.y[None] ** 2)
    slope = Landscape(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([[0.0, 1.0], [2, 3]]))
    assert all(row["value"] == 2 * row["x"] + row["y"] for row in slope.rows())


def test_the_rise_is_a_mean_over_a_disc_without_its_centre():
    x = np.array([-1.0, 0.0, 1.0])
    bowl = Landscape(x, x, x[:, None] ** 2 + x[None] ** 2 + 3)
    assert bowl.at_origin == 3
    assert bowl.rise() == pytest.approx((4 * 1 + 4 * 2) / 8)
    assert bowl.rise(1.0) == pytest.approx(1)  # the corners lie outside


def test_traces_are_measured_and_change_nothing_else(runs, tmp_path):
    frame = runs[0].metrics()
    probe = frame[frame["split"] == "probe"]
    assert sorted(probe["epoch"].unique()) == [0, 1, 2]
    assert set(probe["modality"]) == {"x1", "x2", "fusion", "fused"}
    config = Experiment.from_dict(runs[0].config)
    plain = config.replace(traces=0)
    assert plain.name != config.name
    without = run_experiment(plain, tmp_path).metrics()
    pd.testing.assert_frame_equal(frame[frame["split"] != "probe"].reset_index(drop=True), without)


def test_results_without_traces_are_refused():
    frame = fabricated.everything()
    with pytest.raises(MsamError, match="Hessian traces"):
        traced_rows(frame[frame["split"] != "probe"])


def test_diagnose_from_the_command_line(runs, capsys):
    command = ["diagnose", str(runs[0].path), "--what", "hessian", "landscape"]
    assert main([*command, "--samples", "40", "--probes", "4", "--steps", "3"]) == 0
    assert "hessian.csv" in capsys.readouterr().out
    rows = pd.read_csv(runs[0].path / "hessian.csv")
    assert {"trace", "gauss_newton_trace", "frobenius_norm"} <= set(rows["quantity"])
    assert list(runs[0].path.glob("landscape-*.npz"))
    assert main(["diagnose", str(runs[0].path), "--what", "hesian"]) == 2
    assert "Did you mean 'hessian'" in capsys.readouterr().err
