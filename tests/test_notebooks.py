"""Every notebook runs from top to bottom in the smallest preset, and matches its source."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import build_notebooks

SOURCES = build_notebooks.sources()


def test_built_notebooks_match_their_sources():
    assert [p.name for p in build_notebooks.stale()] == []


def test_there_are_notebooks():
    """Those of the list, so that "every notebook runs" below cannot be true of none."""
    listed = (build_notebooks.ROOT / "book" / "notebooks.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| \[\d\d · .*\]\(\.\./notebooks/(\w+)\.ipynb\)", listed, re.MULTILINE)
    assert [s.stem for s in SOURCES] == named and len(named) > 10


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)
def test_a_notebook_keeps_the_form(source: Path):
    """A question, what it takes, predictions, checks, exercises in three grades, a close."""
    cells = build_notebooks.solution(source).cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    code = [c.source for c in cells if c.cell_type == "code"]
    opening = cells[0].source
    for part in ("**You will**", "**Needs**", "**Takes**", "**Regenerates**"):
        assert part in opening, part
    assert re.search(r"^\*\*.+\?\*\*$", opening, re.MULTILINE), "no question in one sentence"
    for part in (
        "## You have seen",
        "**Questions.**",
        "**Limits.**",
        "**Next:**",
        "**References.**",
    ):
        assert part in text, part
    assert text.count("?", text.index("**Questions.**"), text.index("**Limits.**")) >= 4
    assert sum("assert " in c for c in code) >= 1, "claims are asserted"
    if source.stem[:2] not in ("00", "99"):
        assert "Predict" in text and "**What it does not mean" in text
        grades = re.findall(r"^\*\*(★+) Exercise", text, re.MULTILINE)
        assert len(grades) >= 2 and grades == sorted(grades) and grades[0] == "★"
    lengths = sorted(sum(bool(line.strip()) for line in c.splitlines()) for c in code)
    assert lengths[len(lengths) // 2] <= 10 and lengths[-1] <= 15, lengths[-3:]


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)
def test_a_solution_runs(source: Path, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MSAM_PRESET", "smoke")
    monkeypatch.setenv("MSAM_RUNS", str(tmp_path))
    book = build_notebooks.execute(build_notebooks.solution(source), source.stem)
    assert "standard error" not in capsys.readouterr().out
    outputs = [o for c in book.cells if c.cell_type == "code" for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert [o for o in outputs if "image/png" in o.get("data", {})], "a notebook without a picture"
    for o in outputs:
        if "image/png" in o.get("data", {}):
            assert 'alt="' in o["data"].get("text/html", ""), "a picture without alternative text"
    if number := len(build_notebooks.answers(book)):
        last = outputs[-1]["data"]["text/plain"]
        assert last == f"{number} of {number} exercises solved"


def test_outputs_do_not_depend_on_chance():
    pieces = [nbformat.v4.new_output("stream", name="stdout", text=t) for t in ("a\n", "b\n")]
    noise = nbformat.v4.new_output("stream", name="stderr", text="50%|")
    cell = nbformat.v4.new_code_cell("1", outputs=[pieces[0], noise, pieces[1]])
    (only,) = build_notebooks.clean(cell).outputs
    assert only.text == "a\nb\n"


def test_a_broken_notebook_is_noticed(tmp_path):
    source = tmp_path / "00_broken.py"
    source.write_text("# %%\nassert 1 == 2\n")
    with pytest.raises(Exception, match="AssertionError"):
        build_notebooks.execute(build_notebooks.solution(source), "broken")


def test_a_changed_source_is_noticed(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks" / "_src"
    folder.mkdir(parents=True)
    (folder / "00_a.py").write_text("# %%\nx = 1\n")
    monkeypatch.setattr(build_notebooks, "SOURCES", folder)
    for path, book in build_notebooks.products(folder / "00_a.py"):
        build_notebooks.write(path, book)
    assert build_notebooks.stale() == []
    (folder / "00_a.py").write_text("# %%\nx = 2\n")
    assert len(build_notebooks.stale()) == 2


def test_outputs_stay_with_their_cell(tmp_path):
    """Though a cell before it is new; of several alike, in order."""
    shown = [nbformat.v4.new_output("stream", name="stdout", text=t) for t in ("1", "2", "3")]
    texts = ("a", "show()", "show()")
    old = [nbformat.v4.new_code_cell(t, outputs=[o]) for t, o in zip(texts, shown, strict=True)]
    nbformat.write(nbformat.v4.new_notebook(cells=old), tmp_path / "a.ipynb")
    new = [nbformat.v4.new_code_cell(t) for t in ("new", "a", "show()", "show()", "show()")]
    build_notebooks.keep_outputs(tmp_path / "a.ipynb", nbformat.v4.new_notebook(cells=new))
    assert [[o.text for o in c.outputs] for c in new] == [[], ["1"], ["2"], ["3"], []]


def test_check_from_the_command_line():
    script = Path(build_notebooks.__file__)
    subprocess.run([sys.executable, str(script), "--check"], check=True, env=os.environ)
