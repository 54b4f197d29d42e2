"""Exercises are open, wrong or solved; predictions are kept and compared."""

from __future__ import annotations

import pytest

from msam_lib.errors import MsamError
from msam_lib.interactive import exercises, quiz
from msam_lib.interactive._note import note


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """A session in which nothing was answered."""
    for module, name in ((exercises, "_states"), (quiz, "_asked"), (quiz, "_guesses")):
        monkeypatch.setattr(module, name, {})


def said(capsys) -> str:
    return capsys.readouterr().out.strip()


def test_an_open_exercise_runs_no_check(capsys):
    @exercises.exercise("1.1", 3, ...)
    def _():
        raise AssertionError("not reached")

    assert said(capsys).startswith("Not solved yet: exercise 1.1.")
    exercises.solved("1.1")
    assert said(capsys) == "0 of 1 exercises solved; open: 1.1"


def test_a_wrong_answer_raises_and_does_not_count(capsys):
    with pytest.raises(AssertionError, match="too large"):

        @exercises.exercise("1.1", 3)
        def _():
            raise AssertionError("too large")

    @exercises.exercise("1.2", 3)
    def _():
        pass

    said(capsys)
    exercises.solved("1.1", "1.2", "1.3")
    assert said(capsys) == "1 of 3 exercises solved; open: 1.3; wrong: 1.1"


def test_an_exercise_that_was_solved_can_become_wrong_again(capsys):
    exercises.exercise("1.1", 3)(lambda: None)
    with pytest.raises(ZeroDivisionError):
        exercises.exercise("1.1", 0)(lambda: 1 / 0)
    said(capsys)
    exercises.solved("1.1")
    assert said(capsys) == "0 of 1 exercises solved; wrong: 1.1"
    with pytest.raises(MsamError, match="name the answers"):
        exercises.exercise("1.1")


def test_a_note_says_the_same_in_both_forms_and_escapes():
    content = note("Head <b>.", "a & b", ["x < y"])
    assert content["text/plain"] == "Head <b>. a & b\n* x < y"
    assert "Head &lt;b&gt;." in content["text/html"] and "x &lt; y" in content["text/html"]


def test_a_right_and_a_wrong_guess(capsys):
    asked = quiz.predict("1.1", "Which?", ["left", "right"])
    asked.answer("left")
    quiz.compare("1.1", "left")
    assert said(capsys) == "Prediction 1.1. You guessed left, and that is what came out."
    quiz.compare("1.1", "right")
    assert said(capsys).startswith("Prediction 1.1. You guessed left; what came out is right.")


def test_without_a_guess_only_the_result_is_shown(capsys):
    quiz.predict("1.1", "How many?", unit="orders")
    quiz.compare("1.1", 6)
    assert said(capsys) == "Prediction 1.1. What came out: 6 orders (no guess was made)."


def test_numbers_are_compared_with_a_tolerance(capsys):
    asked = quiz.predict("1.1", "How far?", unit="points")
    assert asked.answer("2,5") == "Kept: 2.5 points. You may change it until you compare."
    quiz.compare("1.1", 2.4, tolerance=0.2)
    assert "guessed 2.5 points, and that is what came out, nearly: 2.4 points." in said(capsys)
    quiz.compare("1.1", 2.2, tolerance=0.2)
    assert "what came out is 2.2 points" in said(capsys)


@pytest.mark.parametrize("guess", ["many", "", "nan", "inf"])
def test_what_is_no_number_is_refused(guess):
    with pytest.raises(MsamError, match="not a number"):
        quiz.predict("1.1", "How many?").answer(guess)


def test_unknown_names_guesses_and_results_are_refused():
    with pytest.raises(MsamError, match="none so far"):
        quiz.compare("1.1", 1)
    asked = quiz.predict("1.1", "Which?", ["left", "right"])
    with pytest.raises(MsamError, match="'up' is not one of the choices: 'left', 'right'"):
        asked.answer("up")
    with pytest.raises(MsamError, match="result 'up' is not one of"):
        quiz.compare("1.1", "up")


def test_the_form_keeps_what_is_chosen(capsys):
    asked = quiz.predict("1.1", "Which?", ["left", "right"])
    head, row, status = asked.widget().children
    field = row.children[0]
    assert "Which?" in head.value and "No guess yet" in status.value and field.value is None
    field.value = "right"  # as an arrow key does
    assert asked.guess == "right" and 'role="status"' in status.value
    again = quiz.predict("1.1", "Which?", ["left", "right"])  # the cell is run again
    assert again.widget().children[1].children[0].value == "right"


def test_the_form_for_a_number_explains_what_it_cannot_read():
    asked = quiz.predict("1.1", "How many?")
    _, row, status = asked.widget().children
    row.children[0].value = "six"
    assert asked.guess is None and "is not a number" in status.value
    row.children[0].value = "6"
    assert asked.guess == 6 and "Kept: 6." in status.value


def displayed(asked, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda content, raw: shown.append(content))
    asked._ipython_display_()
    return shown[0]


def test_a_built_notebook_shows_question_and_choices(monkeypatch):
    monkeypatch.setenv("MSAM_STATIC", "1")
    content = displayed(quiz.predict("1.1", "Which?", [0.1, 0.2]), monkeypatch)
    assert content["text/plain"] == "Prediction 1.1. Which?\n* 0.1\n* 0.2"
    assert "<li>0.1</li>" in content["text/html"]
    number = displayed(quiz.predict("1.2", "How many?", unit="orders"), monkeypatch)
    assert number["text/plain"] == "Prediction 1.2. How many? (a number, orders)"


def test_a_live_notebook_shows_the_form_with_the_text_beside(monkeypatch):
    monkeypatch.delenv("MSAM_STATIC", raising=False)
    asked = quiz.predict("1.1", "Which?", ["left", "right"])
    content = displayed(asked, monkeypatch)
    assert "application/vnd.jupyter.widget-view+json" in content
    assert content["text/plain"].startswith("Prediction 1.1. Which?")
    monkeypatch.setattr(quiz.Prediction, "widget", _no_widgets)
    assert "text/html" in displayed(asked, monkeypatch)


def _no_widgets(self):
    raise ImportError("ipywidgets")
