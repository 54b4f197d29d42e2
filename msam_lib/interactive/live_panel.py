"""The live training panel: choose, start, pause and stop a training, and watch its dominance."""

from __future__ import annotations

import html
import inspect
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from msam_lib import catalogue
from msam_lib.errors import MsamError
from msam_lib.experiments.experiment import Experiment
from msam_lib.interactive.live_run import LiveRun
from msam_lib.methods import METHODS
from msam_lib.plots.live import leading, live_alt, live_picture
from msam_lib.plots.style import bundle

COLUMNS = ("epoch", "step", "split", "modality", "metric", "value")
INTERVAL = 0.7  # seconds between two pictures, at least
FIRST_PICTURE = "Press Start."


class LivePanel:
    """Controls of a `LiveRun` for a notebook; its run is kept as an ordinary run directory.

    Args:
        datasets: data sets to choose from.
        fusions: fusions to choose from.
        methods: methods to choose from; by default all of the catalogue.
        epochs: the number shown first.
        preset: size of the trainings; `$MSAM_PRESET` or teach by default.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
    """

    def __init__(
        self,
        datasets: Sequence[str] = (catalogue.DEFAULT_DATASET, "digits", "synthetic"),
        fusions: Sequence[str] = ("late", "maxout"),
        methods: Sequence[str] | None = None,
        *,
        epochs: int = 8,
        preset: str | None = None,
        store: str | os.PathLike[str] | None = None,
    ) -> None:
        self.preset = preset or os.environ.get("MSAM_PRESET", "teach")
        self.store = store
        self.live: LiveRun | None = None
        self.errors: list[BaseException] = []
        self._drawn = 0.0
        self._lock = threading.Lock()
        names = list(catalogue.METHODS if methods is None else methods)
        self._options: dict[str, Any] = {
            "dataset": datasets,
            "fusion": fusions,
            "method": names,
            "epochs": epochs,
        }

    def draw(self) -> Figure:
        """The picture of the run so far."""
        live = self.live
        if live is None:
            return live_picture(pd.DataFrame(columns=list(COLUMNS)))
        return live_picture(live.frame(), list(live.losses), epochs=live.experiment.epochs)

    def status(self) -> str:
        """One line on the state of the training."""
        live = self.live
        if live is None:
            return FIRST_PICTURE
        if live.error is not None:
            return f"Failed: {live.error}"
        text = f"{live.state} · epoch {live.epoch} of {live.experiment.epochs}"
        modality, share = leading(live.frame())
        if modality:
            text += f" · dominant: {modality}, {100 * share:.0f} %"
        if live.state == "stopped":
            text += f" · kept in {live.run.path}; Start resumes from there"
        return text

    def experiment(self) -> Experiment:
        """The experiment that the controls describe."""
        c = self.controls
        options = {"rho": c["rho"].value} if _has_rho(c["method"].value) else {}
        return Experiment.preset(
            self.preset,
            dataset=c["dataset"].value,
            fusion=c["fusion"].value,
            method=c["method"].value,
            method_options=options,
            epochs=c["epochs"].value,
            seed=c["seed"].value,
        )

    def start(self) -> None:
        """Start the experiment that the controls describe, or resume it where it was paused or
        stopped.

        Raises:
            MsamError: another one is running.
        """
        live, wanted = self.live, self.experiment()
        if live is not None and live.experiment == wanted:
            live.start()
        elif live is not None and live.alive:
            raise MsamError(f"{live!r} is at work already; stop it first.")
        else:
            self.live = LiveRun(wanted, self.store, on_change=self._changed)
            self.live.start()
        self.refresh()

    def pause(self) -> None:
        """Pause the training; Start resumes it."""
        if self.live is not None:
            self.live.pause()
        self.refresh()

    def stop(self) -> None:
        """End the training after the present step; finished epochs are kept."""
        if self.live is not None:
            self.live.stop()
        self.refresh()

    def refresh(self) -> None:
        """Draw the run so far, and update status line and buttons."""
        with self._lock:
            self._drawn = time.monotonic()
            alt = FIRST_PICTURE if self.live is None else live_alt(self.live.frame())
            picture = bundle(self.draw(), alt or FIRST_PICTURE)["text/html"]
            self.picture.value = picture
            self.line.value = f'<p role="status">{html.escape(self.status())}</p>'
            state = "ready" if self.live is None else self.live.state
            self.buttons["start"].disabled = state == "running"
            self.buttons["pause"].disabled = state != "running"
            self.buttons["stop"].disabled = state not in ("running", "paused")

    def _changed(self, live: LiveRun) -> None:
        """Called in the training thread: draws a new picture at most every `INTERVAL` seconds, and
        one at the end. Errors of drawing must not end the training.
        """
        ended = live.state not in ("running", "paused")
        if ended or time.monotonic() - self._drawn > INTERVAL:
            self._guarded(self.refresh)()

    def _guarded(self, action: Callable[[], None]) -> Callable[..., None]:
        """The action as a callback that keeps and shows its errors, which ipywidgets would drop."""

        def guarded(*_: Any) -> None:
            try:
                action()
            except Exception as error:
                self.errors.append(error)
                self.line.value = f'<p role="alert">{html.escape(str(error))}</p>'

        return guarded

    def widget(self) -> Any:
        """Controls, status line and picture as one ipywidgets box."""
        import ipywidgets as w

        o = self._options
        wide = {"description_width": "initial"}

        def menu(name: str, options: Any, title: str) -> Any:
            box = {"width": "auto", "margin": "2px 1.5em 2px 2px"}
            return w.Dropdown(options=options, description=title, style=wide, layout=box)

        # Controls whose values `experiment` reads, buttons named after methods, and a status line.
        self.controls = {
            "dataset": menu("dataset", list(o["dataset"]), "data"),
            "fusion": menu("fusion", list(o["fusion"]), "fusion"),
            "method": menu(
                "method", [(catalogue.METHODS[m].title, m) for m in o["method"]], "method"
            ),
            "rho": w.FloatLogSlider(
                0.2, min=-2, max=0, step=0.1, description="radius ρ", readout_format=".2f"
            ),
            "epochs": w.IntSlider(o["epochs"], min=1, max=40, description="epochs"),
            "seed": w.BoundedIntText(
                0, min=0, max=999, description="seed", layout={"width": "11em"}
            ),
        }
        self.buttons = {
            name: w.Button(description=name.capitalize(), icon=icon, tooltip=tip)
            for name, icon, tip in [
                ("start", "play", "start, or resume"),
                ("pause", "pause", "hold after this step"),
                ("stop", "stop", "end; what was trained is kept"),
            ]
        }
        self.line, self.picture = w.HTML(), w.HTML()
        for name, button in self.buttons.items():
            button.on_click(self._guarded(getattr(self, name)))

        # The radius is greyed out where the method has none.
        def update_rho(*_: Any) -> None:
            self.controls["rho"].disabled = not _has_rho(self.controls["method"].value)

        if "joint" in o["method"]:
            self.controls["method"].value = "joint"
        self.controls["method"].observe(update_rho, names="value")
        update_rho()
        self.refresh()
        wrap = w.Layout(flex_flow="row wrap")
        return w.VBox(
            [
                w.HBox(list(self.controls.values()), layout=wrap),
                w.HBox(list(self.buttons.values()), layout=wrap),
                self.line,
                self.picture,
            ]
        )

    def _ipython_display_(self) -> None:
        """Show the widget; or a sentence where `MSAM_STATIC` is set (building notebooks)."""
        if os.environ.get("MSAM_STATIC"):
            print("A panel that trains while you watch: open this notebook in JupyterLab.")
            return
        from IPython.display import display

        display(self.widget())


def _has_rho(method: str) -> bool:
    """Whether a method has a radius among its options."""
    return "rho" in inspect.signature(METHODS[method]).parameters
