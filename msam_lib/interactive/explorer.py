"""`Explorer`: a pure `draw(...)` function, and the sliders and menus of a notebook that call it.

All that an explorer can show is in `states`, so a test can draw each one: an exception inside a
widget's callback would not fail a notebook. Imports no torch.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from msam_lib.errors import MsamError
from msam_lib.plots.style import show


@dataclass
class Explorer:
    """Controls over a picture.

    Args:
        draw: called with one value per control; returns the figure.
        controls: {name: allowed values}. Numbers become a slider, words a menu.
        alt: called like `draw`; returns the alternative text.
        start: {name: value shown first}; each control's first one by default.
        play: a control with numbers that gets a play button.
        titles: {name: text beside the control}.
        note: called like `draw`; returns HTML to show above the picture.

    >>> def draw(n, word):
    ...     return Figure()
    >>> explorer = Explorer(draw, {"n": [1, 2], "word": ["a", "b"]}, lambda n, word: f"{n} {word}")
    >>> len(list(explorer.states()))
    4

    Raises:
        MsamError: a control without values, or a start that is not among them.
    """

    draw: Callable[..., Figure]
    controls: Mapping[str, Sequence[Any]]
    alt: Callable[..., str]
    start: Mapping[str, Any] = field(default_factory=dict)
    play: str | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    note: Callable[..., str] | None = None

    def __post_init__(self) -> None:
        for name, values in self.controls.items():
            if not len(values):
                raise MsamError(f"Control {name!r} has no values to choose from.")
        for name, value in self.start.items():
            allowed = list(self.controls.get(name, []))
            if value not in allowed:
                raise MsamError(f"start[{name!r}] = {value!r} is not one of {allowed}.")
        if self.play is not None and self.play not in self.controls:
            raise MsamError(f"play={self.play!r} is not a control: {', '.join(self.controls)}.")

    def states(self) -> Iterator[dict[str, Any]]:
        """Every combination of the controls' values."""
        for values in itertools.product(*self.controls.values()):
            yield dict(zip(self.controls, values, strict=True))

    @property
    def initial(self) -> dict[str, Any]:
        """{control: value} of the state shown first."""
        first = {name: values[0] for name, values in self.controls.items()}
        return first | dict(self.start)

    def render(self, **state: Any) -> None:
        """Show one picture with its note and its alternative text, in a notebook."""
        if self.note is not None:
            from IPython.display import HTML, display

            display(HTML(self.note(**state)))
        show(self.draw(**state), alt=self.alt(**state))

    def widget(self) -> Any:
        """The controls and the picture as one ipywidgets box."""
        import ipywidgets as w  # slow to import, and not needed where notebooks are built

        parts = {name: self._control(name) for name in self.controls}
        rows: list[Any] = list(parts.values())
        if self.play is not None:
            rows.append(_player(parts[self.play], self.controls[self.play]))
        box = w.HBox(rows, layout=w.Layout(flex_flow="row wrap"))
        return w.VBox([box, w.interactive_output(self.render, parts)])

    def _control(self, name: str) -> Any:
        """The slider or menu of one control."""
        import ipywidgets as w

        values, title = list(self.controls[name]), self.titles.get(name, name.replace("_", " "))
        wide = {"style": {"description_width": "initial"}, "description": title}
        options = {"options": values, "value": self.initial[name], **wide}
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if numbers and len(values) > 1:
            return w.SelectionSlider(continuous_update=False, **options)
        return w.Dropdown(layout=w.Layout(width="auto", margin="2px 1.5em 2px 2px"), **options)

    def _ipython_display_(self) -> None:
        """Show the widget; or its first picture where `MSAM_STATIC` is set (building notebooks)."""
        if os.environ.get("MSAM_STATIC"):
            self.render(**self.initial)
            return
        from IPython.display import display

        display(self.widget())


def _player(slider: Any, values: Sequence[Any]) -> Any:
    """A play button that moves a slider over its values."""
    import ipywidgets as w

    play = w.Play(value=0, min=0, max=len(values) - 1, interval=700, description="play")

    def move(change: Mapping[str, Any]) -> None:
        slider.value = list(values)[change["new"]]

    play.observe(move, names="value")
    return play
