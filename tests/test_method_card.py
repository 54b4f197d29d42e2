"""Method cards: everything the class and the frozen comparison say, nothing made up."""

from __future__ import annotations

import pytest

from msam_lib.errors import MsamError
from msam_lib.interactive.method_card import as_html, as_markdown, card
from msam_lib.methods import METHODS
from msam_lib.results.comparison import against_joint
from tests.test_explorers import compared


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_card(name):
    made = card(name, compared())
    page, short = as_markdown(made), as_html(made)
    for text in (page, short):
        assert made.title.replace("&", "&amp;") in text.replace("& ", "&amp; ")
        assert METHODS[name].passes in text.replace("&gt;", ">").replace("&#x27;", "'")
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
