"""Every fault of `python -m tools.mutants` still fits the source; trying them is not done here."""

from __future__ import annotations

from collections import Counter

import pytest

from msam_lib.catalogue import METHODS
from tools.mutants import MUTANTS
from tools.mutants.__main__ import main
from tools.mutants.mutant import Mutant


def test_every_edit_and_its_tests_are_there():
    assert [refusal for m in MUTANTS if (refusal := m.refusal())] == []


def test_every_name_is_used_once_and_every_method_has_a_fault():
    assert max(Counter(m.name for m in MUTANTS).values()) == 1
    assert set(METHODS) <= {m.name.partition("/")[0] for m in MUTANTS}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "methods/sma.py"}, "methods/sma.py is not there"),
        ({"old": "forget(modle)"}, "occurs 0 times"),
        ({"old": "model"}, "times in methods/sam.py, not 1"),
        ({"old": "model", "nth": 99}, "not 99 or more"),
        ({"new": "pass )"}, "unmatched"),
        ({"new": "forget( model )"}, "changes nothing"),
        ({"tests": "test_nothing.py"}, "tests/test_nothing.py is not there"),
        ({"tests": "test_msam.py::test_it"}, "has no test_it"),
    ],
)
def test_an_edit_that_does_not_fit_is_named(change, message):
    fits = Mutant("sam/made-up", "methods/sam.py", "forget(model)", "pass", "test_msam.py")
    assert fits.refusal() == ""
    assert message in fits._replace(**change).refusal()


def test_the_nth_place_is_edited():
    edit = Mutant("a/b", "a.py", "x", "y", "")
    assert edit._replace(nth=2).applied("x x x") == "x y x"
    with pytest.raises(LookupError):
        edit.applied("x x")


def test_the_list_names_what_was_asked_for(capsys):
    assert main(["--list", "--only", "^msam/"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5 and all(line.startswith("msam/") for line in lines[:-1])
    assert main(["--only", "no such fault"]) == 1
