"""Which code a figure depends on: every module that it imports, and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from msam_lib.figures import _code
from msam_lib.figures.build import __name__ as BUILD
from msam_lib.figures.registry import ITEMS

ROOT = Path(__file__).resolve().parent.parent
COMPUTE = ("contributions", "data", "diagnostics", "experiments", "methods", "models", "training")
# Imports each group of modules afresh and prints what of the package is loaded then.
IMPORTER = """
import importlib, json, sys

def package():
    return [m for m in sys.modules if m.partition(".")[0] == "msam_lib"]

found = []
for group in json.load(sys.stdin):
    for name in package():
        del sys.modules[name]
    for name in group:
        importlib.import_module(name)
    found.append(package())
print(json.dumps(found))
"""


def closure(name):
    return set(_code.closure(ITEMS[name].modules | {BUILD}))


@pytest.fixture(scope="module")
def loaded():
    """{item: modules of this package that are loaded once its own have been imported}."""
    groups = [sorted(item.modules | {BUILD}) for item in ITEMS.values()]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTER],
        input=json.dumps(groups), capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return dict(zip(ITEMS, map(set, json.loads(done.stdout)), strict=True))


@pytest.mark.parametrize("name", ITEMS)
def test_the_code_of_an_item_is_all_that_it_imports(name, loaded):
    assert len(loaded[name]) > 10
    assert loaded[name] <= closure(name)
    assert not {m for m in closure(name) if m.split(".")[1:2] and m.split(".")[1] in COMPUTE}


def test_the_ranks_depend_on_statistics_labels_and_pictures():
    wanted = "results.statistics results.comparison plots.comparison plots.style labels catalogue"
    assert {f"msam_lib.{m}" for m in wanted.split()} <= closure("methods_ranks")
    assert "msam_lib.figures.published" in closure("table_late")  # through another module
    assert "msam_lib.figures.costs" not in closure("methods_ranks")


def test_an_item_knows_where_each_of_its_functions_is_written():
    assert ITEMS["hessian_traces_late"].modules == {
        "msam_lib.results.rows", "msam_lib.plots.curvature",
    }  # fmt: skip
    assert ITEMS["table_paired_fused"].modules == {  # the drawing one is a partial function
        "msam_lib.figures.paired", "msam_lib.results.comparison",
    }  # fmt: skip
    assert "msam_lib.figures.ranks" in ITEMS["methods_ranks"].modules  # its caption is one


def test_one_byte_of_an_imported_module_changes_the_hash(tmp_path, monkeypatch):
    name, source = "msam_lib.results.statistics", _code._source
    ranks, other = ITEMS["methods_ranks"].modules, ("msam_lib.labels",)
    before = _code.code_hash(ranks), _code.code_hash(other)
    copy = tmp_path / "statistics.py"
    monkeypatch.setattr(_code, "_source", lambda m: copy if m == name else source(m))
    content = source(name).read_bytes()
    copy.write_bytes(content)
    assert _code.code_hash(ranks) == before[0]
    copy.write_bytes(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert _code.code_hash(ranks) == before[0]  # line ends are git's business
    copy.write_bytes(content + b"#")
    assert _code.code_hash(ranks) != before[0]
    assert _code.code_hash(other) == before[1]


def test_imports_are_found_wherever_they_stand(tmp_path, monkeypatch):
    files = {
        "__init__.py": "import os",
        "a.py": "from somepackage.room import b, NAME\nfrom numpy import c",
        "c.py": "def late():\n    import somepackage.d",
        "d.py": "",
        "typed.py": "",
        "unused.py": "",
        "room/__init__.py": "NAME = 1",
        "room/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from somepackage import typed\nelse:\n    from somepackage.c import late",
    }
    for name, text in files.items():
        (tmp_path / "somepackage" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "somepackage" / name).write_text(text)
    monkeypatch.setattr(_code, "ROOT", tmp_path / "somepackage")
    found = _code.closure(frozenset({"somepackage.a"}))
    wanted = ["", ".a", ".c", ".d", ".room", ".room.b"]
    assert list(found) == [f"somepackage{m}" for m in wanted]
