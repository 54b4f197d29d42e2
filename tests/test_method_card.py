"""Method cards: everything the class and the frozen comparison say, nothing made up."""

from __future__ import annotations

import html
import inspect
import re
import xml.etree.ElementTree as ElementTree

import pytest

from msam_lib._utils.docstrings import split_docstring
from msam_lib._utils.math_text import equations, inline, words
from msam_lib.catalogue import METHODS as ROWS
from msam_lib.errors import MsamError
from msam_lib.interactive.method_card import as_html, as_markdown, card
from msam_lib.interactive.step_picture import PLACES, kinds_changed, step_picture
from msam_lib.methods import METHODS
from msam_lib.results.comparison import against_joint
from tests.test_explorers import compared


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_card(name):
    made = card(name, compared())
    page, short = as_markdown(made), as_html(made)
    for text in (page, short):
        assert made.title.replace("&", "&amp;") in text.replace("& ", "&amp; ")
    assert METHODS[name].passes in page and inline(METHODS[name].passes) in short
    assert "Args:" not in page
    for option in METHODS[name].options():
        assert f"| `{option}` |" in page
        assert any(option in names.split(", ") for names in made.arguments), option
    if name not in ("joint", "sam", "msam"):
        assert made.results.empty and "Not among the tables' rows." in page


def test_a_card_tells_cost_and_differences():
    made = card("msam", compared())
    assert made.cost == {"step": 2.05}
    assert "time of a step 2.05 ×" in as_markdown(made)
    rows = against_joint(compared(), "msam").set_index("modality")
    assert rows.loc["fused", "mean"] == pytest.approx(2.0)  # two methods further on, 1 % each
    assert rows.loc["fused", "low"] == pytest.approx(2.0)  # the same difference for every seed
    assert rows.loc["fused", "seeds"] == 3
    assert "| toy, late | " in as_markdown(made)


def test_an_unknown_method_is_refused():
    with pytest.raises(MsamError, match="mmpareto"):
        card("mmpaerto", compared())


# What an equation looks like where it was not written as one.
PLAIN = re.compile(
    r"\bgrad [A-Z]|\|\||sum_|softmax\(|\b(?:theta|eps)\b|<-|\^|\b[A-Za-z]{1,3}_\w"
    r"|\b[b-zB-HJ-Z] [=<>]=? |[=<>] [b-zB-HJ-Z]\b"
)
# Commands in use, all of which MathJax knows; a new one is looked at in a browser first.
COMMANDS = set(
    "alpha beta gamma epsilon varepsilon eta theta vartheta kappa lambda mu xi pi rho sigma tau "
    "phi varphi Phi ell nabla partial sum cos exp log max min sin tanh frac tfrac bar cdot dots "
    "odot propto top ge le leftarrow langle rangle lvert rvert lVert rVert Vert begin end bigl "
    "bigr Bigl Bigr mathcal mathrm operatorname text".split()
) | set(",\\")
PAIRS = ("{}", "()", "[]", ("lvert", "rvert"), ("lVert", "rVert"), ("langle", "rangle"))
PAIRS += (("begin", "end"), ("bigl", "bigr"), ("Bigl", "Bigr"))


def faults(latex):
    """What MathJax would stumble over."""
    commands = re.findall(r"\\([A-Za-z]+|.)", latex)
    unknown = [f"unknown \\{c}" for c in commands if c not in COMMANDS]
    signs = [*commands, *re.sub(r"\\([A-Za-z]+|.)", "", latex)]
    return unknown + [f"{a} without {b}" for a, b in PAIRS if signs.count(a) != signs.count(b)]


@pytest.mark.parametrize("name", METHODS)
def test_a_cards_equations_are_whole_and_all_are_set(name):
    made = card(name, compared())
    texts = [made.text, *made.arguments.values(), *made.steps]
    assert [t for t in texts if words(t).count("$")] == []
    found = [latex for t in texts for latex in equations(t)]
    assert [fault for latex in found for fault in faults(latex)] == []
    assert [m[0] for t in texts for m in PLAIN.finditer(words(t))] == []
    page, short = as_markdown(made), as_html(made)
    assert set(found) <= set(equations(page))
    assert "|" not in "".join(made.arguments.values())  # a cell of a table would end there
    for latex in (e for t in (made.text, *made.steps) for e in equations(t)):
        text = html.escape(latex, quote=False)
        assert rf"\({text}\)" in short or rf"\[{text}\]" in short
    assert "$" not in short
    # the only method without an equation in its text
    assert bool(equations(made.text)) == (name != "modality_dropout")


@pytest.mark.parametrize(
    ("latex", "fault"),
    [(r"\lambada", "unknown"), (r"\frac{a}{b", "{ without }"), (r"\lVert g \rvert", "lVert")],
)
def test_faulty_equations_are_seen(latex, fault):
    assert any(fault in f for f in faults(latex))


@pytest.mark.parametrize("name", METHODS)
def test_a_step_has_six_short_lines_that_only_name_what_is_there(name):
    made = card(name, compared())
    assert len(made.steps) == 6
    assert all(0 <= len(words(line)) <= 90 for line in made.steps)
    assert sum(len(words(line)) > 10 for line in made.steps) >= 3  # not equations alone
    for code in re.findall(r"`(\w+)", "".join(made.steps)):
        assert code in METHODS[name].options(), code
    for number, line in enumerate(made.steps, 1):
        assert f"\n{number}. {line}\n" in as_markdown(made)


@pytest.mark.parametrize("name", METHODS)
def test_the_picture_marks_what_the_method_changes(name):
    row = ROWS[name]
    made = card(name, compared())
    kinds = kinds_changed(row.kind, made.text)
    drawing = ElementTree.fromstring(made.picture)
    texts = [t.text for t in drawing.iter("{http://www.w3.org/2000/svg}text")]
    marked = {texts[i - 1] for i, t in enumerate(texts) if t in ("changed", "at θ + ε")}
    assert marked == {PLACES[k][0] for k in kinds}
    assert bool(marked) == (row.kind != "nothing")
    alt = drawing.get("aria-label")
    assert drawing.get("role") == "img" and row.title in alt
    assert all(box.rstrip("s") in alt.partition(row.title)[2] for box in marked)
    assert "\n" not in made.picture and f"<div>{made.picture}</div>" in as_markdown(made)


def test_a_picture_marks_every_change_in_the_docstring():
    said = "Changes: the point at which the gradient is\ntaken, and the loss. Requires: nothing."
    assert kinds_changed("landscape", said) == ("landscape", "loss")
    assert kinds_changed("schedule", "Changes: the loss.") == ("schedule", "loss")
    assert "changes nothing" in step_picture("Joint training", kinds_changed("nothing", ""))


def test_every_kind_of_change_has_its_place_in_the_step():
    assert {kind: box for kind, (box, _) in PLACES.items()} == {
        "data": "data",
        "model": "fusion",
        "loss": "loss",
        "landscape": "gradients",
        "gradient": "gradients",
        "schedule": "update",
    }
    assert {row.kind for row in ROWS.values()} - {"nothing"} == set(PLACES)


def test_a_method_without_steps_has_a_card_all_the_same(monkeypatch):
    monkeypatch.setitem(ROWS, "sam", ROWS["sam"]._replace(steps=()))
    made = card("sam", compared())
    assert "<ol" not in as_html(made) and "\n1. " not in as_markdown(made)


def test_arguments_keep_their_equations():
    arguments = split_docstring(inspect.getdoc(METHODS["msam"]))[1]
    assert r"$v \leftarrow s v" in arguments["smoothing"]
