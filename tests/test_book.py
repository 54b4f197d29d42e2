"""The site's pages are assembled from the repository, and broken links in it are found."""

from __future__ import annotations

import importlib.util
import inspect
import re
import runpy

import pytest

from msam_lib import PUBLIC
from msam_lib._utils.math_text import equations
from msam_lib.catalogue import METHODS
from msam_lib.experiments import comparison, search, trials
from msam_lib.methods import METHODS as CLASSES
from tests.reference import agreements
from tools import build_book, build_notebooks, evidence_pages


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book") / "source"
    build_book.assemble(folder)
    return folder


def test_every_notebook_is_in_one_table_of_contents(source):
    listed = re.findall(r"^notebooks/(\S+)$", (source / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == [s.stem for s in build_notebooks.sources()]
    assert all((source / "notebooks" / f"{name}.ipynb").exists() for name in listed)


def test_every_method_has_a_page(source):
    listed = (source / "methods" / "index.md").read_text()
    for name, row in METHODS.items():
        assert f"[{row.title}]({name}.md)" in listed
        assert (source / "methods" / f"{name}.md").read_text().startswith(f"# {row.title}\n")


def test_a_card_has_its_methods_rows_of_agreement(source):
    rows = agreements()
    for name in METHODS:
        page = (source / "methods" / f"{name}.md").read_text()
        section = page.partition("## Agreement with the source\n")[2]
        own = [row for row in rows if row.method == name]
        assert section.count("\n| ") == (len(own) + 2 if own else 0)
        assert all(row.compared.replace("*", "\\*").replace("|", "\\|") in section for row in own)


@pytest.mark.parametrize("name", METHODS)
def test_every_equation_of_a_docstring_is_one_to_sphinx(name):
    turned = runpy.run_path(str(build_book.ROOT / "book" / "conf.py"))["as_restructured_text"]
    text = inspect.getdoc(CLASSES[name])
    lines = text.split("\n")
    turned(None, "class", name, None, None, lines)
    out = "\n".join(lines)
    assert "$" not in out and "\0" not in out
    found = [" ".join(latex.split()) for latex in equations(text)]
    assert out.count(":math:`") + out.count(".. math::\n\n") == len(found)
    assert all(f":math:`{e}`" in out or f".. math::\n\n   {e}\n" in out for e in found)


def test_what_is_no_equation_stays():
    turned = runpy.run_path(str(build_book.ROOT / "book" / "conf.py"))["as_restructured_text"]
    lines = [">>> price('$5', '$6')", "Of `$HOME` and `$PATH`, |x|."]
    turned(None, "function", "f", None, None, lines)
    assert lines == [">>> price('$5', '$6')", "Of ``$HOME`` and ``$PATH``, \\|x\\|."]


def test_the_api_names_modules_that_exist_and_every_public_name(source):
    for page in build_book.MODULES:
        text = (source / "api" / f"{page.lower()}.rst").read_text()
        named = re.findall(r"automodule:: (\S+)", text)
        assert named and all(importlib.util.find_spec(name) for name in named)
    index = (source / "api" / "index.md").read_text()
    assert [n for n in PUBLIC if f"| `ml.{n}` |" not in index] == []


def test_figures_come_with_their_caption_and_words(source):
    page = (source / "figures.md").read_text()
    pictures = re.findall(r"\{figure\} (\S+)\n:alt: (\S.+)\n\n(\S.+)\n", page)
    assert len(pictures) == page.count("{figure}") > 5
    assert all((source / path).exists() for path, _, _ in pictures)


def test_the_protocol_says_what_the_code_does_and_what_was_measured(source):
    page = (source / "protocol.md").read_text()
    words = {9: "nine", 4: "four", 3: "three", 10: "Ten"}
    assert f"{words[trials.COARSE]} trials" in page and f"{words[trials.FINER]} trials" in page
    assert ", ".join(map(str, search.SEEDS[:2])) + f" and {search.SEEDS[2]}" in page
    assert f"{words[len(comparison.SEEDS)]} seeds, 0 to {comparison.SEEDS[-1]}" in page
    assert search.SHARES == (1, 5 / 9, 1 / 3) and "better\n5/9 with the second" in page
    assert (trials.UP, trials.DOWN) == (2, 3) and "times 2 or divided by 3" in page
    assert search.ROUNDS.count("beyond") == 2 and "at most twice" in page
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| \d+ \| [\d to]+ \| (.+) \|$", page, re.MULTILINE)
    assert {d for d, _, _ in rows} >= {"avmnist", "digits"} and "{" not in page
    assert {state for *_, state in rows} <= {"older", "by this protocol"}


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#there">1</a><a href="b.html#gone">2</a>'
        '<img src="no.png"><a href="https://example.org/x">4</a><a href="#top">5</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there">B</p>')
    assert list(build_book.broken(tmp_path)) == ["a.html: b.html#gone", "a.html: no.png"]


def test_links_to_figures_turn_and_pictures_stay(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("![Gains](../figures/dial.png) [the\ndial](../figures/dial.png) "
                    "[claims](../figures/claims.md) [log](../CHANGELOG.md)")  # fmt: skip
    evidence_pages.turn_links(page)
    assert page.read_text() == (
        "![Gains](figures/dial.png) [the\ndial](figures.md#when-does-balancing-pay) "
        "[claims](claims.md) [log](changelog.md)"
    )
