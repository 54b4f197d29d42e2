"""What readers of the built notebooks see: no noise, short cells, plain words, terms explained."""

from __future__ import annotations

import re
from functools import cache
from itertools import chain

import nbformat
import pytest

from tools import build_notebooks

ROOT = build_notebooks.ROOT
SOURCES = build_notebooks.sources()
BUILT = [
    path for s in SOURCES for path, _ in build_notebooks.products(s) if path.exists()
]  # test_notebooks.py finds missing ones
GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^## (.+)$", GLOSSARY, re.MULTILINE)
COURSE = ("00", "01", "02", "03", "04", "05", "07")  # the class of 90 minutes; then the others
# Not in the sense of the field, and hard on readers whose first language is another.
IDIOMS = r"\b(told|goes on|went on|dearest|dearly|round the (weights?|point|minimum))\b"
FORMS = {  # of terms whose plural or verb is not the term and an s
    "modality": r"modalit(y|ies)",
    "dominance": r"domina(nce|tes?|nt|ted)",
    "perturbation": r"perturb(ation|s|ed|ing)?s?",
    "contribution": r"contribut(ions?|es?|ed)",
    "starved": r"starv(ed|es?|ing)",
    "batch": r"batch(es)?(?![- ]norm)",
    "batch normalisation": r"batch[- ]norm(alisation)?",
    "generalise": r"generalis(e|es|ation)(?! gap)",
    "joint training": r"joint training|trained jointly",
    "fusion": r"(?<!late )(?<!early )fusions?",
    "trace": r"traces?(?! of accord)",
    "Hutchinson probe": r"Hutchinson|probes?",
    "method": r"(?<!\.)methods?",
    "loss": r"loss(es)?(?!-)",
    "momentum": r"(?<!-)momentum",
    "SAM": r"(?<![-\w])SAM",
    "Keskar's Q": r"Keskar('s)?",
}


def cells(path, kind: str):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


@cache
def in_course_order() -> list[tuple[str, str]]:
    """(notebook, text) of every cell that is read, the class of 90 minutes first."""
    ordered = sorted(SOURCES, key=lambda s: (s.stem[:2] not in COURSE, s.stem))
    every = [(s.stem, c) for s in ordered for c in build_notebooks.solution(s).cells]
    return [(stem, c.source) for stem, c in every if c.cell_type == "markdown"]


def slug(term: str) -> str:
    return re.sub(r"[^\w -]", "", term.lower()).replace(" ", "-")


def running_text(source: str) -> str:
    """A cell's text without addresses of links, code and the list of references."""
    text = re.split(r"^\*\*(?:References|Next)[.:]\*\*", source, flags=re.MULTILINE)[0]
    return " ".join(re.sub(r"`[^`]*`", "", re.sub(r"\]\([^)]*\)", "]", text)).split())


def explained(term: str, source: str) -> bool:
    """Whether the cell leads to the glossary, or sets the term off where it says what it is."""
    form = FORMS.get(term, re.escape(term) + "s?")
    set_off = rf"\*{{1,2}}(?:[\w'-]+ )*{form}(?: \w+)*[.:]?\*{{1,2}}"
    linked = f"glossary.md#{slug(term)})" in source
    return linked or bool(re.search(set_off, running_text(source), re.IGNORECASE))


@pytest.mark.parametrize("path", BUILT, ids=lambda p: f"{p.parent.name}-{p.stem[:2]}")
def test_outputs_are_what_a_reader_wants_to_see(path):
    for cell in cells(path, "code"):
        for output in cell.outputs:
            assert output.get("name") != "stderr", cell.source
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            found = re.search(r"<[\w.]+(?: object)?(?: at 0x[0-9a-f]+)?>|\bat 0x[0-9a-f]+", text)
            assert not found, f"{found} is shown by:\n{cell.source}"


@pytest.mark.parametrize("path", BUILT, ids=lambda p: f"{p.parent.name}-{p.stem[:2]}")
def test_code_cells_are_short_and_words_plain(path):
    for cell in cells(path, "code"):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 15, f"{len(lines)} lines:\n{cell.source}"
    for cell in chain(cells(path, "code"), cells(path, "markdown")):
        found = re.search(IDIOMS, cell.source, re.IGNORECASE)
        assert not found, f"{found[0]!r} in:\n{cell.source}"


def test_the_glossary_has_one_entry_per_term_in_order():
    assert len(TERMS) > 40 and sorted(set(TERMS), key=str.lower) == TERMS
    known = {s.stem for s in SOURCES}
    for entry in GLOSSARY.split("\n## ")[1:]:
        term, _, text = entry.partition("\n")
        leads = re.search(r"\(\[notebook (\d\d)\]\(\.\./notebooks/(\w+)\.ipynb\)\)", text)
        number, stem = leads.groups()
        assert stem in known and stem.startswith(number)
        form = FORMS.get(term, re.escape(term) + "s?")
        sentences = re.findall(r"[.:] |\.$", text.partition("([")[0].strip())
        assert 1 <= len(sentences) <= 4, text
        source = next(s for s in SOURCES if s.stem == stem).read_text(encoding="utf-8")
        assert re.search(form, source, re.IGNORECASE), f"notebook {number} has no {term}"
    assert "\nglossary\n" in (ROOT / "book" / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_explained_where_it_first_appears(term):
    form = rf"(?<!\w){FORMS.get(term, re.escape(term) + 's?')}(?!\w)"
    case = 0 if term in ("SAM", "M-SAM", "MASAM") else re.IGNORECASE
    having = (c for c in in_course_order() if re.search(form, running_text(c[1]), case))
    notebook, first = next(having)
    assert explained(term, first), f"{notebook}:\n{first}"


def test_every_link_to_the_glossary_leads_to_an_entry():
    slugs = {slug(term) for term in TERMS}
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        assert set(re.findall(r"glossary\.md#([\w-]+)", text)) <= slugs


def test_an_unexplained_term_is_noticed():
    assert not explained("coalition", "Every coalition counts.")
    assert explained("coalition", "A *coalition* is a set.")
    assert explained("coalition", "[Coalitions](../book/glossary.md#coalition) count.")
    assert not explained("coalition", "[Coalitions](../book/glossary.md#fusion) count.")
