"""Which code a figure depends on: every module that its functions import, directly or not."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the package


def code_hash(modules: Iterable[str]) -> str:
    """SHA-256 of the source of these modules and of all modules of this package that importing them
    executes (with line ends as in git).
    """
    digest = hashlib.sha256()
    for name in closure(frozenset(modules)):
        content = _source(name).read_bytes().replace(b"\r\n", b"\n")
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()


@lru_cache(maxsize=64)
def closure(modules: frozenset[str]) -> tuple[str, ...]:
    """Names of these modules and of all modules of this package that importing them executes."""
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _imports(name)
    return tuple(sorted(reached))


@lru_cache(maxsize=256)
def _imports(module: str) -> frozenset[str]:
    """Names of the modules of this package that one module imports, with their packages."""
    names: set[str] = set()
    for node in _executed(ast.parse(_source(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif node.module is not None:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}  # may be modules
    parents = {".".join(n.split(".")[:k]) for n in names for k in range(1, n.count(".") + 1)}
    return frozenset(n for n in names | parents if _path(n) is not None)


def _executed(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a module, without those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from _executed(ast.Module(node.orelse, []))
        else:
            yield from _executed(node)


@lru_cache(maxsize=512)
def _path(module: str) -> Path | None:
    """The file of a module of this package; None for any other name."""
    package, *rest = module.split(".")
    stem = ROOT.joinpath(*rest)
    files = (stem / "__init__.py", stem.with_name(f"{stem.name}.py"))
    return next((f for f in files if package == ROOT.name and f.exists()), None)


def _source(module: str) -> Path:
    """The file of a module, of this package or of another that defines a figure."""
    return _path(module) or Path(str(sys.modules[module].__file__))
