"""Where the numbers in the texts of the notebooks come from: no measured number was typed.

A text may give a number in percent or points only if it stands here: with the frozen result that it
is compared with, or with the reason why it is not a measurement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from msam_lib.figures.published import PUBLISHED
from tools import build_notebooks

ROOT = Path(__file__).resolve().parent.parent
NUMBER = re.compile(r"\d+(?:\.\d+)?(?: and \d+)? ?(?:%|points)")
NO_MEASUREMENT = {  # what a text gives in percent or points without having measured it
    "95 %": "level of an interval",
    "20 to 60 %": "settings of a paper's figure",
    "60 %": "a share of wrong labels that was set",
    "75 %": "energy removed by the recipe of AV-MNIST",
    "10 %": "chance, or one of the answers offered",
    "25 %": "chance of four classes; asserted in the notebook",
    "100 % training accuracy and 80 %": "an exercise by hand",
    "1 %, 10 % or 50 %": "answers offered",
    "(a) 80 %, (b) 50 %, (c) 25 %": "answers offered",
    "2 points better": "what somebody may claim",
    "end within 6 points": "asserted in the notebook",
    "more than 5 points above": "asserted in the notebook",
    "at least 10 points more": "asserted in the notebook",
}


def _of_table(name: str, row: str, column: int) -> float:
    """A cell of a drawn table, without its interval."""
    text = (ROOT / "figures" / f"{name}.md").read_text(encoding="utf-8")
    (line,) = (x for x in text.splitlines() if x.startswith(f"| {row} |"))
    cell = re.sub(r"[*]|</?u>", "", line.split("|")[column + 1])
    return float(cell.split("±")[0])


MEASURED: dict[str, Callable[[], tuple[str, ...]]] = {
    # the audio alone under M-SAM and SAM (both), and under joint training
    "23 against 27 %": lambda: (
        f"{_of_table('table_late', 'SAM', 1):.0f}",
        f"{_of_table('table_late', 'Joint training', 1):.0f}",
    ),
    "M-SAM 3.3 points above joint": lambda: (
        f"{PUBLISHED['maxout']['msam'] - PUBLISHED['maxout']['joint']:.1f}",
    ),
}


def texts(source: Path) -> str:
    """All that is read between the code of a notebook, on one line."""
    cells = build_notebooks.solution(source).cells
    kept = [c.source for c in cells if c.cell_type == "markdown"]
    return re.sub(r"\s+", " ", " ".join(kept).replace("\u2212", "-"))


@pytest.mark.parametrize("source", build_notebooks.sources(), ids=lambda s: s.stem)
def test_every_number_is_accounted_for(source):
    text = texts(source)
    for phrase in sorted([*NO_MEASUREMENT, *MEASURED], key=len, reverse=True):
        text = text.replace(phrase, "")
    assert not (left := NUMBER.findall(text)), f"{left}: name their source in {Path(__file__).name}"


@pytest.mark.parametrize("phrase", MEASURED)
def test_measured_numbers_are_the_frozen_ones(phrase):
    everything = " ".join(map(texts, build_notebooks.sources()))
    assert phrase in everything, "The text has changed: this line is no longer needed."
    written = re.findall(r"\d+(?:\.\d+)?", phrase)
    assert tuple(written) == MEASURED[phrase]()


def test_no_line_of_this_list_is_out_of_use():
    everything = " ".join(map(texts, build_notebooks.sources()))
    assert [p for p in NO_MEASUREMENT if p not in everything] == []
