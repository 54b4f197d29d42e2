"""Training in the background while a notebook stays usable: start, pause, stop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from msam_lib.errors import MsamError
from msam_lib.experiments.build import build_trainer
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods.base import Logs
from msam_lib.training import History, Run, Trainer, default_store


class _Stopped(Exception):
    """Raised inside the training thread to leave it."""


class LiveRun:
    """One experiment in a background thread, kept in an ordinary run directory: after a stop it
    resumes from its last finished epoch, here or with `run_experiment`.

    Torch's random number generator is shared by all threads: one live training at a time gives the
    same results as `run_experiment`, two at once do not.

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
        """Start the training, or resume it after `pause` or `stop`; returns this run.

        Raises:
            MsamError: it is running.
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
        """Pause after the present step; `start` resumes with the next one. Returns this run."""
        if self.state == "running":
            self._go.clear()
            self.state = "paused"
        return self

    def stop(self, timeout: float | None = 60) -> LiveRun:
        """End after the present step and wait for that, at most `timeout` seconds; finished epochs
        are kept. Returns this run.
        """
        self._stop.set()
        self._go.set()  # a paused thread has to wake up to end
        return self.wait(timeout)

    def wait(self, timeout: float | None = None) -> LiveRun:
        """Wait until the training has ended, at most `timeout` seconds; returns this run."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return self

    @property
    def alive(self) -> bool:
        """Whether the thread is running or paused."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return 0 if self._trainer is None else self._trainer.epoch

    def frame(self) -> pd.DataFrame:
        """The measurements so far; columns epoch, step, split, modality, metric, value."""
        if self._trainer is None:
            return self.run.metrics()
        history = History()
        history.records = list(self._trainer.history.records)  # a copy: the thread adds to them
        return history.frame()

    def _work(self) -> None:
        """Train to the end, and record how it ended; runs in the thread."""
        try:
            if not self.run.finished:
                self._trainer = build_trainer(self.experiment, self.store, progress=False)
                self._trainer.on_step = self._step
                self._trainer.fit(self.experiment.epochs)
            self.state = "finished"
        except _Stopped:
            self.state = "stopped"
        except Exception as error:  # nobody catches what a thread raises; the panel shows it
            self.error, self.state = error, "failed"
        if self.on_change is not None:
            self.on_change(self)

    def _step(self, steps: int, logs: Logs) -> None:
        """After every step: record the loss, wait while paused, leave when stopped."""
        while self.losses and self.losses[-1][0] >= steps:  # of an epoch that is run again
            self.losses.pop()
        self.losses.append((steps, float(logs["loss"])))
        if self.on_change is not None:
            self.on_change(self)
        self._go.wait()
        if self._stop.is_set():
            raise _Stopped
