"""Predictions: the reader answers before a run, and sees afterwards what came out.

    predict("03.1", "Which valley wins?", choices=["the narrow one", "the wide one"])
    ...
    compare("03.1", "the wide one")

A guess is kept as long as the kernel runs. Where `MSAM_STATIC` is set (building notebooks), or
without ipywidgets, the question and its choices are shown as text. Imports no torch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from msam_lib.errors import MsamError
from msam_lib.interactive._note import note, show_note

_asked: dict[str, Prediction] = {}  # the questions of this session
_guesses: dict[str, Any] = {}  # {name: one of the choices, or a number}


@dataclass(frozen=True)
class Prediction:
    """A question to answer before the result is shown; a notebook shows it as a small form.

    Args:
        name: for example `"03.1"`, the same for `compare`.
        question: one sentence.
        choices: to choose one from; empty where a number is asked for.
        unit: of the number.
    """

    name: str
    question: str
    choices: tuple[Any, ...] = ()
    unit: str = ""

    @property
    def guess(self) -> Any:
        """What the reader answered; None before that."""
        return _guesses.get(self.name)

    def answer(self, guess: Any) -> str:
        """Keep a guess, and say so.

        Args:
            guess: one of the choices; or a number, as text or not.

        Raises:
            MsamError: a guess that is not among the choices, or no number.
        """
        if not self.choices:
            try:
                number = float(str(guess).replace(",", "."))
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                raise MsamError(f"{guess!r} is not a number; write one, such as 0.5.")
            guess = number
        elif guess not in self.choices:
            allowed = ", ".join(map(repr, self.choices))
            raise MsamError(f"{guess!r} is not one of the choices: {allowed}.")
        _guesses[self.name] = guess
        return f"Kept: {self.words(guess)}. You may change it until you compare."

    def words(self, value: Any) -> str:
        """A choice, or a number with its unit, as text."""
        if self.choices:
            return str(value)
        return f"{value:g} {self.unit}".strip()

    def still(self) -> dict[str, str]:
        """{MIME type: content} of the question without a form."""
        asked = f"{self.question} (a number{f', {self.unit}' if self.unit else ''})"
        text = self.question if self.choices else asked
        return note(f"Prediction {self.name}.", text, [str(c) for c in self.choices])

    def widget(self) -> Any:
        """The question with its choices, or a field for the number, as one ipywidgets box."""
        import ipywidgets as w  # slow to import, and not needed where notebooks are built

        wide = w.Layout(width="auto")
        if self.choices:
            options = [(str(c), c) for c in self.choices]
            field = w.RadioButtons(options=options, value=self.guess, layout=wide)
        else:
            given = "" if self.guess is None else f"{self.guess:g}"
            field = w.Text(given, placeholder="a number, then Enter", continuous_update=False)
        field.tooltip = self.question  # read out where the text above is not
        unit = w.Label(self.unit)
        said = w.HTML(_status("No guess yet." if self.guess is None else "Your guess is kept."))

        def keep(change: dict[str, Any]) -> None:
            try:
                said.value = _status(self.answer(change["new"]))
            except MsamError as error:
                said.value = _status(str(error))

        field.observe(keep, names="value")
        head = w.HTML(f"<strong>Prediction {self.name}.</strong> {escape(self.question)}")
        return w.VBox([head, w.HBox([field, unit]), said])

    def _ipython_display_(self) -> None:
        """Show the form; or the text where `MSAM_STATIC` is set or ipywidgets is missing."""
        from IPython.display import display

        content = self.still()
        if not os.environ.get("MSAM_STATIC"):
            try:
                form = self.widget()._repr_mimebundle_()
            except ImportError:
                form = {}
            if form:  # the text for a page that does not know widgets
                content = {**form, "text/plain": content["text/plain"]}
        display(content, raw=True)


def _status(text: str) -> str:
    """HTML that a screen reader reads out when it changes."""
    return f'<span role="status">{escape(text)}</span>'


def predict(
    name: str, question: str, choices: Sequence[Any] | None = None, unit: str = ""
) -> Prediction:
    """Ask for a prediction: one of `choices`, or a number where there are none.

    >>> predict("00.9", "How many orders have three modalities?").answer("6")
    'Kept: 6. You may change it until you compare.'
    >>> compare("00.9", 6)
    Prediction 00.9. You guessed 6, and that is what came out.
    """
    _asked[name] = Prediction(name, question, tuple(choices or ()), unit)
    return _asked[name]


def compare(name: str, truth: Any, tolerance: float = 1e-9) -> None:
    """Show what was guessed and what came out.

    Args:
        name: of the prediction.
        truth: what came out: one of the choices, or a number.
        tolerance: how far off a number may be to count as right.

    Raises:
        MsamError: nothing was asked under this name, or the truth is none of the choices.
    """
    if name not in _asked:
        known = ", ".join(_asked) or "none so far"
        raise MsamError(f"Nothing was asked as {name!r} (there are: {known}); run predict first.")
    asked, guess = _asked[name], _guesses.get(name)
    if asked.choices and truth not in asked.choices:
        allowed = ", ".join(map(repr, asked.choices))
        raise MsamError(f"The result {truth!r} is not one of the choices: {allowed}.")
    out = asked.words(truth)
    if guess is None:
        text = f"What came out: {out} (no guess was made)."
    elif guess == truth or (not asked.choices and abs(guess - truth) <= tolerance):
        same = asked.words(guess) == out
        text = f"You guessed {asked.words(guess)}, and that is what came out"
        text += "." if same else f", nearly: {out}."
    else:
        text = f"You guessed {asked.words(guess)}; what came out is {out}."
        text += " That is worth a second look: which of your assumptions does not hold here?"
    show_note(f"Prediction {name}.", text)
