"""Checks of arguments against their annotations: errors name the value and what is allowed."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from msam_lib._utils.options import Choice, fits, words
from msam_lib.errors import MsamError, unknown_name

T = TypeVar("T")


class Option(NamedTuple):
    """A parameter: its annotation and its default (`inspect.Parameter.empty` without one)."""

    kind: Any
    default: Any

    def __str__(self) -> str:
        return words(self.kind)


def options_of(target: Callable[..., Any]) -> dict[str, Option]:
    """{option: what it may be} of a function, or of a class's constructor."""
    return _read(target)


@functools.cache
def _read(target: Any) -> dict[str, Option]:
    hinted = target.__init__ if inspect.isclass(target) else target
    hinted = hinted.func if isinstance(hinted, functools.partial) else hinted
    try:
        hints = typing.get_type_hints(hinted, include_extras=True)
    except NameError:  # a name that is imported for type checkers only
        hints = {}
    parameters = inspect.signature(target).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return {p.name: Option(hints.get(p.name, Any), p.default) for p in named}


def check_value(owner: str, name: str, option: Option, value: Any) -> None:
    """Raise a `MsamError` that explains what is wrong with the value of an option.

    >>> from msam_lib._utils.options import AtLeastZero
    >>> check_value("SAM", "rho", Option(AtLeastZero, 0.05), -1)
    Traceback (most recent call last):
        ...
    msam_lib.errors.MsamError: SAM, option rho=-1: give a number, 0 or larger; the default is 0.05.
    """
    if fits(option.kind, value):
        return
    choice = _choice(option.kind)
    if isinstance(value, str) and choice is not None and value not in choice.names:
        more = [f"{choice.prefix}NAME"] if choice.prefix else []
        raise unknown_name(name, value, [*choice.names, *more])
    default = "" if option.default is inspect.Parameter.empty else f"; the default is {option[1]!r}"
    allowed = words(option.kind)
    raise MsamError(f"{owner}, option {name}={shown(value)}: give {allowed}{default}.")


def check_options(
    owner: str, target: Callable[..., Any], given: Mapping[str, Any], without: Iterable[str] = ()
) -> None:
    """Raise a `MsamError` where an option is unknown or its value is not allowed.

    Args:
        owner: for the message: whose options they are.
        target: the function or class that declares them.
        given: {option: value}.
        without: parameters of `target` that are no options.
    """
    known = {n: o for n, o in options_of(target).items() if n not in {*without, "self"}}
    parameters = inspect.signature(target).parameters.values()
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for name, value in given.items():
        if name not in known:
            if open_ended:
                continue
            if not known:
                raise MsamError(f"{owner} has no options; {name!r} was given. Leave it out.")
            raise unknown_name(f"option of {owner}:", name, known)
        check_value(owner, name, known[name], value)


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise a `MsamError` where an argument is not allowed; the first line of a function, whose
    `locals()` are its arguments then.
    """
    known = options_of(function)
    owner = function.__qualname__
    check_options(owner, function, {k: v for k, v in given.items() if k in known})


def checked(cls: type[T]) -> type[T]:
    """The class, whose constructor checks its options; a decorator."""
    init: Callable[..., None] = cls.__init__

    @functools.wraps(init)
    def construct(self: Any, *args: Any, **options: Any) -> None:
        names = list(options_of(init))[1 : 1 + len(args)]
        given = dict(zip(names, args, strict=False)) | options
        check_options(type(self).__name__, init, given)
        init(self, *args, **options)

    cls.__init__ = construct  # type: ignore[method-assign]
    return cls


def _choice(kind: Any) -> Choice | None:
    """The names that an annotation allows, if it names any."""
    for inside in (*typing.get_args(kind), *getattr(kind, "__metadata__", ())):
        found = inside if isinstance(inside, Choice) else _choice(inside)
        if found is not None:
            return found
    return None


def shown(value: Any) -> str:
    """A value for a message: on one line, not longer than 80 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
