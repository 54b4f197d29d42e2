"""Training that goes on in the background while a notebook stays usable: start, pause, stop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from msam_lib.errors import MsamError
from msam_lib.experiments.build import build_trainer
from msam_lib.experiments.experiment import Experiment
from msam_lib.training import History, Run, Trainer, default_store


class _Stopped(Exception):
    """Raised inside the training thread to leave it."""


class LiveRun:
    """One experiment in a background thread. What it leaves is an ordinary run directory: stopped,
    it goes on from its last whole epoch, here or with `run_experiment`.

    Torch's random numbers are shared by all threads: one live training at a time gives the same
    numbers as `run_experiment`, two at once do not.

    Args:
        experiment: what to train.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        on_change: called in the training thread after every step and once at the end.
    """

    def __init__(
        self,
        experiment: Experiment,
        store: str | os.PathLike[str] | None = None,
        *,
        on_change: Callable[[LiveRun], None] | None = None,
    ) -> None:
        self.experiment, self.on_change = experiment, on_change
        self.store = default_store() if store is None else Path(store)
        self.run: Run = Run(self.store / experiment.name)
        self.state = "ready"
        self.error: BaseException | None = None
        self.losses: list[tuple[int, float]] = []
        self._trainer: Trainer | None = None
        self._go, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"LiveRun({self.experiment.label!r}, {self.state}, epoch {self.epoch})"

    def start(self) -> LiveRun:
        """Begin, or go on after `pause` or `stop`.

        Raises:
            MsamError: while it is running.
        """
        if self.state == "paused" and self.alive:
            self.state = "running"
            self._go.set()
            return self
        if self.alive:
            raise MsamError(f"{self!r} is at work already; pause() or stop() it.")
        self._stop.clear()
        self._go.set()
        self.state, self.error = "running", None
        self._thread = threading.Thread(target=self._work, name="live training", daemon=True)
        self._thread.start()
        return self

    def pause(self) -> LiveRun:
        """Hold after the step at work; `start` goes on with the next one, as if nothing was."""
        if self.state == "running":
            self._go.clear()
            self.state = "paused"
        return self

    def stop(self, timeout: float | None = 60) -> LiveRun:
        """End after the step at work, and wait for that. Every whole epoch is kept."""
        self._stop.set()
        self._go.set()
        return self.wait(timeout)

    def wait(self, timeout: float | None = None) -> LiveRun:
        """Wait until the training has ended, at most `timeout` seconds."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return self

    @property
    def alive(self) -> bool:
        """Whether the thread is at work or paused."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def epoch(self) -> int:
        """Whole epochs so far."""
        return 0 if self._trainer is None else self._trainer.epoch

    def frame(self) -> pd.DataFrame:
        """The measurements so far; columns epoch, step, split, modality, metric, value."""
        if self._trainer is None:
            return self.run.metrics()
        history = History()
        history.records = list(self._trainer.history.records)
        return history.frame()

    def _work(self) -> None:
        try:
            if not self.run.finished:
                self._trainer = build_trainer(self.experiment, self.store, progress=False)
                self._trainer.on_step = self._step
                self._trainer.fit(self.experiment.epochs)
            self.state = "finished"
        except _Stopped:
            self.state = "stopped"
        except Exception as error:  # shown by whoever watches; a thread has nobody to raise it to
            self.error, self.state = error, "failed"
        if self.on_change is not None:
            self.on_change(self)

    def _step(self, steps: int, logs: Mapping[str, float]) -> None:
        while self.losses and self.losses[-1][0] >= steps:  # of an epoch that is run again
            self.losses.pop()
        self.losses.append((steps, float(logs["loss"])))
        if self.on_change is not None:
            self.on_change(self)
        self._go.wait()
        if self._stop.is_set():
            raise _Stopped
