"""A student's notebook runs to its end with every exercise open, and tells right from wrong."""

from __future__ import annotations

import dis
import itertools
import re
from pathlib import Path
from types import CodeType

import pytest
from nbclient.exceptions import CellExecutionError

from tools import build_notebooks

SOURCES = build_notebooks.sources()
STEMS = {s.stem[:2]: s for s in SOURCES}
all_notebooks = pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)


def tagged(cell) -> bool:
    return bool({"exercise", "solution"} & set(cell.metadata.get("tags", [])))


def executed(number, monkeypatch, tmp_path, **given):
    """The student's notebook after Run All, with these answers written in."""
    monkeypatch.setenv("MSAM_PRESET", "smoke")
    monkeypatch.setenv("MSAM_RUNS", str(tmp_path))
    book = build_notebooks.student(build_notebooks.solution(STEMS[number]))
    for name, answer in given.items():
        (cell,) = [c for c in book.cells if f"\n{name} = ..." in c.source]
        cell.source = cell.source.replace(f"{name} = ...", f"{name} = {answer}")
    book = build_notebooks.execute(book, number)
    return [o["data"] for c in book.cells for o in c.get("outputs", []) if "data" in o]


@all_notebooks
def test_a_students_notebook_keeps_no_solution(source: Path):
    book = build_notebooks.solution(source)
    plain = build_notebooks.student(book)
    text = "\n".join(c.source for c in plain.cells)
    asked = build_notebooks.answers(book)
    assert len(asked) == len([c for c in book.cells if "exercise" in c.metadata.get("tags", [])])
    assert text.count(" = ...") == sum(map(len, asked.values()))
    assert "# solution" not in text and "NotImplementedError" not in text
    if asked:
        numbers = ", ".join(f'"{number}"' for number in asked)
        assert plain.cells[-1].source == f"solved({numbers})"


@all_notebooks
def test_a_committed_students_notebook_shows_no_answer(source: Path):
    _, (path, _) = build_notebooks.products(source)
    cells = build_notebooks.nbformat.read(path, as_version=4).cells
    shown = [c for c in cells if c.get("outputs")]
    assert shown and not [c for c in shown if build_notebooks.CHECKS.search(c.source)]
    assert not [c for c in shown if re.search(r"^\w+ = \.\.\.$", c.source, re.MULTILINE)]


def names(code: CodeType, kinds: tuple[str, ...]) -> set[str]:
    """Global names that a cell, or a function in it, loads or stores."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    own = {i.argval for i in dis.get_instructions(code) if i.opname in kinds}
    return own.union(*(names(c, tuple(k for k in kinds if "GLOBAL" in k)) for c in inner))


@all_notebooks
def test_no_cell_but_its_check_needs_an_answer(source: Path):
    theirs: dict[str, str] = {}  # {name: the exercise whose solution gives it a value}
    number = ""
    for cell in build_notebooks.solution(source).cells:
        if cell.cell_type != "code":
            continue
        code = compile(cell.source, "cell", "exec")
        stored = names(code, ("STORE_NAME", "STORE_GLOBAL"))
        if tagged(cell):
            number = re.search(r"Exercise ([\d.]+)", cell.source)[1]
            theirs |= dict.fromkeys(stored, number)
            continue
        own = list(build_notebooks.answers(build_notebooks.NotebookNode(cells=[cell])))
        loaded = names(code, ("LOAD_NAME", "LOAD_GLOBAL"))
        foreign = {n for n in loaded - stored if n in theirs and [theirs[n]] != own}
        assert not foreign, f"{foreign} of exercise {number} is needed by:\n{cell.source}"
        for name in stored:
            theirs.pop(name, None)


@all_notebooks
def test_a_check_needs_nothing_of_a_solution_but_its_answers(source: Path):
    """What else the solution names, a reader may have named otherwise."""
    before: set[str] = set()
    helpers: set[str] = set()
    for cell in build_notebooks.solution(source).cells:
        if cell.cell_type != "code":
            continue
        code = compile(cell.source, "cell", "exec")
        stored = names(code, ("STORE_NAME", "STORE_GLOBAL"))
        if tagged(cell):
            helpers = stored - before
            continue
        for answer in itertools.chain(
            *build_notebooks.answers(build_notebooks.NotebookNode(cells=[cell])).values()
        ):
            helpers.discard(answer)
        assert not helpers & names(code, ("LOAD_NAME", "LOAD_GLOBAL")) - stored, cell.source
        before |= stored


def test_open_exercises_do_not_stop_a_notebook(monkeypatch, tmp_path):
    shown = executed("02", monkeypatch, tmp_path)
    notes = [d for d in shown if "Not solved yet" in d["text/plain"]]
    assert len(notes) == 3 and all('role="note"' in d["text/html"] for d in notes)
    assert notes[1]["text/plain"].startswith("Not solved yet: exercise 02.2.")
    assert shown[-1]["text/plain"] == "0 of 3 exercises solved; open: 02.1, 02.2, 02.3"


def test_a_right_answer_counts(monkeypatch, tmp_path):
    shown = executed("03", monkeypatch, tmp_path, length="rho")
    assert shown[-1]["text/plain"] == "1 of 3 exercises solved; open: 03.2, 03.3"
    assert "1 of 3 exercises solved" in shown[-1]["text/html"]


def test_a_wrong_answer_stops_it(monkeypatch, tmp_path):
    with pytest.raises(CellExecutionError, match="divided by its own length"):
        executed("03", monkeypatch, tmp_path, length="7.0")


def test_an_exercise_without_a_check_is_not_built(tmp_path):
    source = tmp_path / "00_a.py"
    source.write_text('# %% tags=["exercise"]\n# Exercise 00.1: a number.\n# solution\nx = 1\n')
    with pytest.raises(SystemExit, match="@exercise"):
        build_notebooks.student(build_notebooks.solution(source))
