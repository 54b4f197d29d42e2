"""What makes an error clear: it names the option and the value, and says what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from msam_lib.cli.main import main
from msam_lib.errors import MsamError
from msam_lib.training import Trainer

ADVICE = (
    r"\bgive\b|\bGive\b|must|Available:|Did you mean|\b[Uu]se\b|\bTry\b|between|at least|larger|"
    r"needs|explains|choose from|for example|Resume|Leave|Build|[Uu]nfreeze|[Nn]ame"
)


class Accepted(BaseException):
    """A bad value came as far as the training; no `Exception`, so that nobody collects it."""


def clear(message: str, *words: Any) -> None:
    """Assert that a message names every word and gives advice."""
    for word in words:
        assert str(word) in message, f"{word!r} is not named: {message}"
    assert re.search(ADVICE, message), f"no advice: {message}"


def refused(call: Callable[[], object], *words: Any) -> None:
    """Assert that a call ends in a clear `MsamError`."""
    with pytest.raises(MsamError) as error:
        call()
    clear(str(error.value), *words)


def refused_by_the_command_line(arguments: list[str], words: list[str], capsys) -> None:
    """Assert that a command ends with status 2 and one clear line, before anything is trained."""

    def fit(self, epochs):
        raise Accepted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "fit", fit)
        try:
            status = main(arguments)
        except SystemExit as stop:
            status = stop.code
        except Accepted:
            status = "accepted"
    error = capsys.readouterr().err
    assert status == 2, f"{status}: {error}"
    assert error.count("\n") == 1, error
    clear(error, *words)


def wrong_values(default: Any) -> list[Any]:
    """Values that no option with such a default can have."""
    kind = type(default)
    if kind is bool:
        return ["yes", 2]
    if kind is int:
        return ["abc", 1.5, True, float("nan")]
    if kind is float:
        return ["abc", float("nan"), float("inf"), [0.1], True]
    if kind is str:
        return [3]
    if kind is tuple:
        return ["abc", (1.5,) * (len(default) + 1)]
    return []
