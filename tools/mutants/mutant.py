"""`Mutant`: one small fault, put into a copy of the library, and the tests that must notice it."""

from __future__ import annotations

import ast
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Mutant(NamedTuple):
    """One edit.

    `name` is what it is in and, after a slash, what goes wrong; `file` lies in `msam_lib`; `old`
    must occur once, or at least `nth` times, of which the n-th is replaced; `tests` are files or
    test functions below `tests`, separated by spaces: one of them must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    nth: int = 0

    @property
    def arguments(self) -> list[str]:
        """What pytest is called with."""
        return [f"tests/{t}" for t in self.tests.split()]

    def applied(self, source: str) -> str:
        """The source with the fault; LookupError where the old text is not there as described."""
        found = source.count(self.old)
        if found != 1 and not 1 <= self.nth <= found:
            wanted = f"{self.nth} or more" if self.nth else "1"
            raise LookupError(
                f"{self.name}: {self.old!r} occurs {found} times in {self.file}, not {wanted}. "
                "Write the edit anew, for the code as it is now."
            )
        start = -1
        for _ in range(max(1, self.nth)):
            start = source.index(self.old, start + 1)
        return source[:start] + self.new + source[start + len(self.old) :]

    def refusal(self, root: Path = ROOT) -> str:
        """Why this edit or its tests no longer fit the source; empty where they do."""
        path = root / "msam_lib" / self.file
        if not path.exists():
            return f"{self.name}: msam_lib/{self.file} is not there."
        source = path.read_text(encoding="utf-8")
        try:
            changed = ast.dump(ast.parse(self.applied(source)))
        except LookupError as error:
            return str(error)
        except SyntaxError as error:
            return f"{self.name}: {error}"
        if changed == _tree(source):
            return f"{self.name}: the edit changes nothing but the layout."
        return next((r for t in self.tests.split() if (r := self._missing(root, t))), "")

    def _missing(self, root: Path, test: str) -> str:
        """What is wrong with the name of a test; empty where it is there."""
        file, _, function = test.partition("::")
        path = root / "tests" / file
        if not path.is_file():
            return f"{self.name}: tests/{file} is not there."
        if function and function not in _functions(path):
            return f"{self.name}: tests/{file} has no {function}."
        return ""


@lru_cache(maxsize=1)  # edits of one file stand together
def _tree(source: str) -> str:
    return ast.dump(ast.parse(source))


@cache
def _functions(path: Path) -> frozenset[str]:
    """Names of the functions that a file defines."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(n.name for n in nodes if isinstance(n, ast.FunctionDef))
