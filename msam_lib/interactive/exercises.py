"""Exercises of a notebook: an open one is announced and left, a wrong answer raises, a right one
counts. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msam_lib.errors import MsamError
from msam_lib.interactive._note import show_note

_states: dict[str, str] = {}  # {exercise: "open", "wrong" or "solved"}, of this session


def exercise(name: str, *answers: Any) -> Callable[[Callable[[], object]], None]:
    """A decorator that runs the check below it at once, if every answer is there.

    While an answer is still the placeholder `...`, a note says that the exercise is open, and the
    notebook continues. What the check raises is raised.

    Args:
        name: of the exercise, for example `"03.1"`.
        answers: what the reader was asked for.

    Raises:
        MsamError: no answer is named, so nothing could ever be open.

    >>> length = 0.5
    >>> @exercise("03.1", length)
    ... def _():
    ...     assert length == 0.5, "The radius."
    Exercise 03.1 is solved.
    """
    if not answers:
        raise MsamError(f"exercise({name!r}) checks nothing: name the answers after it.")

    def run(check: Callable[[], object]) -> None:
        if any(answer is ... for answer in answers):
            _states[name] = "open"
            where = "Replace the dots in the cell above by your code, and run both cells."
            show_note(f"Not solved yet: exercise {name}.", where)
            return
        _states[name] = "wrong"  # unless the check returns
        check()
        _states[name] = "solved"
        show_note(f"Exercise {name} is solved.")

    return run


def solved(*names: str) -> None:
    """Show how many of these exercises are solved in this session, and which are not.

    >>> solved("99.1", "99.2")
    0 of 2 exercises solved; open: 99.1, 99.2
    """
    states = {name: _states.get(name, "open") for name in names}
    by_state = {s: [n for n in names if states[n] == s] for s in ("solved", "open", "wrong")}
    left = [f"; {s}: {', '.join(by_state[s])}" for s in ("open", "wrong") if by_state[s]]
    show_note(f"{len(by_state['solved'])} of {len(names)} exercises solved{''.join(left)}")
