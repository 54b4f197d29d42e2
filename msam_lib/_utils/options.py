"""What an option may be, declared once in its annotation: `rho: AtLeastZero = 0.05`.

The constructor, the command line and the documentation read the same annotation. A number is never
NaN, and infinite only where its `Range` says so.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """Which numbers are allowed, alone or inside a tuple or dictionary.

    Args:
        least, most: limits that are allowed themselves.
        above, below: limits that are not.
        infinite: whether infinity is allowed.

    >>> str(Range(0)), str(Range(0, below=1)), str(Range(above=0))
    ('0 or larger', 'at least 0 and less than 1', 'larger than 0')
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    infinite: bool = False

    def allows(self, value: Any) -> bool:
        """Whether every number in the value is in the range."""
        if isinstance(value, Mapping):
            return all(map(self.allows, value.values()))
        if isinstance(value, list | tuple):
            return all(map(self.allows, value))
        if not isinstance(value, Real):
            return True  # its type is the annotation's matter
        value = float(value)
        high = value < self.below or self.below == math.inf
        low = value > self.above or self.above == -math.inf
        return bool(self.least <= value <= self.most and low and high)

    def __str__(self) -> str:
        if (self.above, self.below) == (-math.inf, math.inf) and math.isfinite(self.most):
            return f"between {self.least} and {self.most}"
        parts = [
            *([f"at least {self.least}"] if math.isfinite(self.least) else []),
            *([f"larger than {self.above}"] if math.isfinite(self.above) else []),
            *([f"at most {self.most}"] if math.isfinite(self.most) else []),
            *([f"less than {self.below}"] if math.isfinite(self.below) else []),
        ]
        if len(parts) == 1 and math.isfinite(self.least):
            parts = [f"{self.least} or larger"]
        return " and ".join(parts) + (", or inf" if self.infinite else "")


@dataclass(frozen=True, eq=False)  # a mapping of names has no hash
class Choice:
    """Which names are allowed; those of a mapping may become more.

    Args:
        names: these,
        prefix: and those that begin like this, if it is not empty.
        pairs: several may be given as `key=name,key=name`, whose keys somebody else checks.
    """

    names: Collection[str]
    prefix: str = ""
    pairs: bool = False

    def allows(self, value: Any) -> bool:
        """Whether it is one of the names."""
        if not isinstance(value, str) or value in self.names:
            return True
        if self.pairs and (pairs := pairs_of(value)):
            return all(map(self.allows, pairs.values()))
        return bool(self.prefix) and value.startswith(self.prefix) and value != self.prefix

    def __str__(self) -> str:
        more = f", or {self.prefix}..." if self.prefix else ""
        each = ", or MODALITY=NAME,..." if self.pairs else ""
        return f"one of {', '.join(self.names)}{more}{each}"


def pairs_of(text: str) -> dict[str, str]:
    """{key: name} of a text such as `key=name,key=name`; empty where it is one name, which may have
    "=" behind a colon.

    >>> pairs_of("text=hf:folder, image=resnet18"), pairs_of("hf:a=b")
    ({'text': 'hf:folder', 'image': 'resnet18'}, {})
    """
    if "=" not in text.partition(":")[0]:
        return {}
    parts = (part.partition("=") for part in text.split(","))
    return {key.strip(): name.strip() for key, _, name in parts}


AtLeastZero = Annotated[float, Range(0)]
Positive = Annotated[float, Range(above=0)]
Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, below=1)]
WholeNumber = Annotated[int, Range(0)]
Count = Annotated[int, Range(1)]


def fits(kind: Any, value: Any, *, infinite: bool = False) -> bool:
    """Whether a value is what an annotation allows; an annotation that is not known allows all.

    >>> fits(AtLeastZero, 0.1), fits(AtLeastZero, "0.1"), fits(int | None, True)
    (True, False, False)
    """
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        marks = [m for m in inside[1:] if isinstance(m, Range | Choice)]
        infinite = infinite or any(isinstance(m, Range) and m.infinite for m in marks)
        return fits(inside[0], value, infinite=infinite) and all(m.allows(value) for m in marks)
    if origin in (typing.Union, types.UnionType):
        return any(fits(k, value, infinite=infinite) for k in inside)
    if kind is Any:
        return True
    if kind is float:
        real = isinstance(value, Real) and not isinstance(value, bool)
        return real and not math.isnan(value) and (infinite or not math.isinf(value))
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if kind is None or kind is types.NoneType:
        return value is None
    if origin is tuple and inside[-1:] != (Ellipsis,):
        if not isinstance(value, list | tuple) or len(value) != len(inside):
            return False
        return all(fits(k, v, infinite=infinite) for k, v in zip(inside, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        named = isinstance(value, Mapping) and all(fits(inside[0], k) for k in value)
        return named and all(fits(inside[1], v, infinite=infinite) for v in value.values())
    if isinstance(origin, type) and issubclass(origin, Collection):
        return isinstance(value, list | tuple) and all(
            fits(inside[0], v, infinite=infinite) for v in value
        )
    known = kind if isinstance(kind, type) else origin if isinstance(origin, type) else object
    return isinstance(value, known)


def words(kind: Any) -> str:
    """What an annotation allows, in words.

    >>> words(AtLeastZero | None), words(Annotated[str, Choice(["late", "concat"])])
    ('a number, 0 or larger; or None', 'one of late, concat')
    """
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        marks = [m for m in inside[1:] if isinstance(m, Range | Choice)]
        if any(isinstance(m, Choice) for m in marks):
            return ", ".join(map(str, marks))
        return ", ".join([words(inside[0]), *map(str, marks)])
    if origin in (typing.Union, types.UnionType):
        return "; or ".join(words(k) for k in inside)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a dictionary {{name: {words(inside[1])}}}"
    if origin is tuple and inside[-1:] != (Ellipsis,):
        return f"({', '.join(map(words, inside))})"
    if isinstance(origin, type) and issubclass(origin, Collection):
        return f"a list, each {words(inside[0])}"
    plain = {float: "a number", int: "a whole number", bool: "True or False", str: "a text"}
    if kind in (None, types.NoneType):
        return "None"
    if origin is Callable:
        return "a function"
    return plain.get(kind, getattr(kind, "__name__", str(kind)))
