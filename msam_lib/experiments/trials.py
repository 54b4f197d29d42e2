"""What a search tries: a coarse grid, what lies beyond its edges, and a finer grid around the best.

A trial is a learning rate and a value of the method's main option (see `msam_lib.catalogue`). Every
method gets as many trials in the coarse and in the finer grid, and the same rule beyond the edges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from msam_lib.catalogue import METHODS
from msam_lib.errors import MsamError
from msam_lib.labels import Case
from msam_lib.methods import build_method

COARSE, FINER = 9, 4  # trials per method
UP, DOWN = 2.0, 3.0  # steps of the learning rate's coarse grid, and beyond its edges


class Trial(NamedTuple):
    """A learning rate with the options of a method, fixed and searched ones."""

    lr: float
    options: dict[str, Any]


def coarse(case: Case, lr: float, count: int = COARSE) -> list[Trial]:
    """The trials of the first round; equally many for each method.

    Every method is tried at the same three learning rates (2 lr, lr, lr / 3), with one, two or
    three values of its main option; a method without one gets further learning rates between and
    below them.

    Args:
        case: the method and its fixed options.
        lr: the preset's learning rate.
        count: number of trials: 3, 6 or 9.

    Raises:
        MsamError: the count is not 3, 6 or 9.
    """
    if count not in (3, 6, 9):
        raise MsamError(f"budget={count}; give 3, 6 or 9, the trials per method.")
    rates = (UP * lr, lr, lr / DOWN)
    option, fixed = searched_option(case), case.options
    # Nothing else to search: all trials go into learning rates.
    if not option:
        further = (1.2 * lr, 0.6 * lr, 0.2 * lr, 1.6 * lr, 0.8 * lr, 0.45 * lr)
        return [Trial(rate, dict(fixed)) for rate in (*rates, *further)[:count]]
    # The middle value, then the last and the first of three, in the values' order.
    values = METHODS[case.method].values
    chosen = [values[k] for k in sorted((1, 2, 0)[: count // 3])]
    return [Trial(rate, fixed | {option: v}) for rate in rates for v in chosen]


def searched_option(case: Case) -> str:
    """The option that is searched beside the learning rate; "" where there is none, or it is
    fixed.
    """
    option = METHODS[case.method].option
    return "" if option in case.options else option


def beyond(case: Case, tried: Sequence[Trial], best: Trial) -> list[Trial]:
    """A trial one step further along each axis at whose end the best one lies.

    The learning rate goes up by 2 or down by 3 for every method; a number goes on by the ratio of
    its last two values, where the method allows the result.

    Args:
        case: the method and its fixed options.
        tried: all trials so far.
        best: the best of them.
    """
    further = []
    for axis in edges(case, tried, best):
        values = _values(axis, tried)
        if axis == "lr":
            further.append(
                Trial(best.lr * UP if best.lr == values[-1] else best.lr / DOWN, best[1])
            )
            continue
        here, near = (
            (values[-1], values[-2]) if best.options[axis] == values[-1] else (values[0], values[1])
        )
        if here > 0 and near > 0:
            further.append(_with(best, axis, here * here / near))
    return _new(case, further, tried)


def finer(case: Case, tried: Sequence[Trial], best: Trial, count: int = FINER) -> list[Trial]:
    """Trials between the best one and its neighbours: at the geometric mean of both learning rates,
    and of both values of the option. Where there are fewer, more learning rates between take their
    places.

    Args:
        case: the method and its fixed options.
        tried: all trials so far.
        best: the best of them.
        count: number of trials.
    """
    return _new(case, _between(case, tried, best), tried)[:count]


def edges(case: Case, tried: Sequence[Trial], best: Trial) -> list[str]:
    """The axes, "lr" and the option's name, at whose end the best trial lies."""
    option = searched_option(case)
    at = {"lr": best.lr} | ({option: best.options[option]} if option else {})
    found = []
    for axis, value in at.items():
        values = _values(axis, tried)
        if len(values) > 1 and value in (values[0], values[-1]):
            found.append(axis)
    return found


def _between(case: Case, tried: Sequence[Trial], best: Trial) -> Iterator[Trial]:
    """Candidates of the finer grid, the most wanted first."""
    rates, option = _values("lr", tried), searched_option(case)
    k = rates.index(best.lr)
    above = rates[k + 1] if k + 1 < len(rates) else best.lr * UP
    below = rates[k - 1] if k else best.lr / DOWN
    nearest = [math.sqrt(best.lr * above), math.sqrt(best.lr * below)]
    yield from (Trial(rate, best.options) for rate in nearest)
    values = _values(option, tried) if option else []
    if values:  # numbers
        here = best.options[option]
        k = values.index(here)
        for neighbour in values[k + 1 : k + 2] + values[max(0, k - 1) : k]:
            positive = min(here, neighbour) > 0
            middle = math.sqrt(here * neighbour) if positive else (here + neighbour) / 2
            yield _with(best, option, middle)
    for end in (*nearest, above, below):
        yield Trial(math.sqrt(best.lr * math.sqrt(best.lr * end)), best.options)


def _values(axis: str, tried: Sequence[Trial]) -> list[Any]:
    """The different values tried along an axis, ascending; none where they are not numbers."""
    values = {t.lr if axis == "lr" else t.options[axis] for t in tried}
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return sorted(values) if numbers else []


def _with(trial: Trial, option: str, value: float) -> Trial:
    """The trial with another value of a numeric option: whole where it was, 3 digits else."""
    whole = isinstance(trial.options[option], int)
    rounded: float = round(value) if whole else float(f"{value:.3g}")
    return Trial(trial.lr, trial.options | {option: rounded})


def _new(
    case: Case, wanted: Sequence[Trial] | Iterator[Trial], tried: Sequence[Trial]
) -> list[Trial]:
    """Those that were not tried, once each, and that the method allows."""
    found: list[Trial] = []
    for trial in wanted:
        known = any(
            math.isclose(trial.lr, t.lr) and trial.options == t.options for t in (*tried, *found)
        )
        if not known:
            with suppress(MsamError):  # out of the option's range
                build_method(case.method, **trial.options)
                found.append(trial)
    return found
