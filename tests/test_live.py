"""Training in the background: paused, stopped and resumed it gives the numbers of a plain run."""

from __future__ import annotations

import threading
import time

import pandas as pd
import pytest

from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.interactive.live_panel import LivePanel
from msam_lib.interactive.live_run import LiveRun
from msam_lib.plots.live import live_alt, live_picture

SMALL = Experiment.preset("smoke", dataset="synthetic", method="msam", epochs=3)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run_experiment(SMALL, tmp_path_factory.mktemp("plain"), progress=False).metrics()


def test_it_gives_the_numbers_of_a_plain_run(plain, tmp_path):
    live = LiveRun(SMALL, tmp_path).start().wait(60)
    assert live.state == "finished" and live.epoch == 3
    pd.testing.assert_frame_equal(live.frame(), plain)
    assert len(live.losses) == int(plain["step"].max())


def test_a_pause_holds_it_and_changes_nothing(plain, tmp_path):
    live = LiveRun(SMALL, tmp_path, on_change=lambda it: it.pause() if held.is_set() else None)
    held = threading.Event()
    held.set()
    live.start()
    until(lambda: live.state == "paused")
    steps = len(live.losses)
    time.sleep(0.2)
    assert len(live.losses) == steps == 1
    held.clear()
    live.start().wait(60)
    assert live.state == "finished"
    pd.testing.assert_frame_equal(live.frame(), plain)


def test_stopped_it_resumes_from_the_last_whole_epoch(plain, tmp_path):
    def stop_in_epoch_2(it):
        if it.epoch == 1:
            it.stop()

    live = LiveRun(SMALL, tmp_path, on_change=stop_in_epoch_2).start().wait(60)
    assert live.state == "stopped" and live.run.state == "resumable"
    live.on_change = None
    live.start().wait(60)
    assert live.state == "finished"
    pd.testing.assert_frame_equal(live.frame(), plain)
    steps = [s for s, _ in live.losses]
    assert steps == list(range(1, len(steps) + 1))
    assert run_experiment(SMALL, tmp_path, progress=False).finished


def test_a_paused_one_can_be_stopped(tmp_path):
    live = LiveRun(SMALL, tmp_path, on_change=lambda it: it.pause()).start()
    until(lambda: live.state == "paused")
    live.stop()
    assert live.state == "stopped" and not live.alive


def test_a_finished_run_is_not_trained_again(plain, tmp_path):
    run_experiment(SMALL, tmp_path, progress=False)
    live = LiveRun(SMALL, tmp_path).start().wait(60)
    assert live.state == "finished" and not live.losses
    pd.testing.assert_frame_equal(live.frame(), plain)


def test_a_failure_is_kept(tmp_path):
    live = LiveRun(SMALL.replace(method_options={"rho": -1.0}), tmp_path).start().wait(60)
    assert live.state == "failed" and "rho" in str(live.error)


def test_two_starts_are_refused(tmp_path):
    live = LiveRun(SMALL, tmp_path, on_change=lambda it: it._go.wait()).start()
    try:
        with pytest.raises(MsamError, match="at work already"):
            live.start()
    finally:
        live.stop()


@pytest.fixture
def panel(tmp_path):
    made = LivePanel(epochs=2, preset="smoke", store=tmp_path)
    made.widget()
    made.controls["dataset"].value = "synthetic"
    yield made
    if made.live is not None:
        made.live.stop()


def test_the_panel_trains_what_the_controls_say(panel):
    panel.controls["method"].value, panel.controls["rho"].value = "sam", 0.1
    before = panel.picture.value
    panel.buttons["start"].click()
    panel.live.wait(60)
    assert not panel.errors
    assert panel.live.experiment.method_options == {"rho": pytest.approx(0.1)}
    assert "finished · epoch 2 of 2 · dominant: x" in panel.line.value
    assert panel.picture.value != before
    assert 'alt="After epoch 2: test accuracy' in panel.picture.value
    assert not panel.buttons["start"].disabled and panel.buttons["stop"].disabled


def test_the_panel_pauses_resumes_and_stops(panel):
    panel.controls["dataset"].value, panel.controls["epochs"].value = "digits", 40  # not too fast
    panel.buttons["start"].click()
    until(lambda: panel.live.losses)
    panel.buttons["pause"].click()
    assert panel.live.state == "paused"
    panel.buttons["start"].click()
    assert panel.live.state == "running"
    panel.buttons["stop"].click()
    assert panel.live.state == "stopped" and "Start resumes" in panel.line.value
    assert not panel.errors


def test_a_setting_that_does_not_work_is_reported(panel):
    panel.controls["fusion"].value, panel.controls["method"].value = "maxout", "mmpareto"
    panel.buttons["start"].click()
    panel.live.wait(60)
    assert panel.live.state == "failed" and "per-modality logits" in panel.line.value


def test_a_raising_callback_is_not_swallowed(panel, monkeypatch):
    monkeypatch.setattr(panel, "draw", lambda: 1 / 0)
    panel.buttons["start"].click()
    panel.live.wait(60)
    assert panel.live.state == "finished", "the training must not end with its picture"
    assert isinstance(panel.errors[0], ZeroDivisionError) and "alert" in panel.line.value


def test_where_notebooks_are_built_there_are_words(monkeypatch, capsys):
    monkeypatch.setenv("MSAM_STATIC", "1")
    LivePanel()._ipython_display_()
    assert "JupyterLab" in capsys.readouterr().out


def test_the_picture_at_every_moment(plain):
    losses = [(s, 1 / s) for s in range(1, 60)]
    for epoch in range(-1, 4):
        part = plain[plain["epoch"] <= epoch]
        figure = live_picture(part, losses[: 20 * (epoch + 1)], epochs=3)
        figure.canvas.draw()
        assert len(figure.axes) == 3
        assert len(live_alt(part)) > 20
