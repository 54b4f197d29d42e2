"""The findings' table of results is the frozen one: no number in it was typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from msam_lib import results
from msam_lib.figures.dial import before_after
from msam_lib.figures.ranks import ranked
from msam_lib.figures.settings import ELSEWHERE, OPTIONS, SEARCHED, WHOLE, WRONG

ROOT = Path(__file__).resolve().parent.parent
FINDINGS = (ROOT / "book" / "findings.md").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    """The cells of a Markdown row, without emphasis."""
    return [re.sub(r"\*\*|</?u>", "", c).strip() for c in line.strip().strip("|").split("|")]


def frozen(fusion: str) -> dict[str, list[str]]:
    """{method: its cells} of the drawn table."""
    text = (ROOT / "figures" / f"table_methods_{fusion}_avmnist.md").read_text(encoding="utf-8")
    rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    return {r[0]: r for r in rows}


def shown() -> list[list[str]]:
    """The rows of the table of results."""
    head = "| method | late: audio | late: fused |"
    table = FINDINGS[FINDINGS.index(head) :].split("\n\n")[0]
    return [cells(line) for line in table.splitlines()[2:]]


@pytest.mark.parametrize("row", shown(), ids=lambda r: r[0])
def test_rows_are_those_of_the_drawn_tables(row):
    late, early = frozen("late")[row[0]], frozen("maxout").get(row[0])
    assert row[1:4] == [late[1], late[3], late[6]]
    assert row[4:] == (["—"] * 3 if early is None else [early[1], early[3], early[6]])


def test_ranks_in_the_text_are_the_frozen_ones():
    data = ROOT / "figures" / "data"
    names, found = ranked(*(results.load(n, data) for n in ("methods", "search", *OPTIONS)))
    rank = dict(zip(names, found.average, strict=True))
    text = re.search(r"\*\*Ranks\*\*.*?\(\[figure\]", FINDINGS, re.DOTALL)
    assert text is not None
    flat = re.sub(r"\s+", " ", text[0])
    pairs = {name: re.search(rf"(?:: |, ){re.escape(name)} (\d\.\d)", flat) for name in names}
    assert len(pairs) == len(rank) >= 5
    for name, value in pairs.items():
        assert value is not None and value[1] == f"{rank[name]:.1f}", name
    difference = f"critical difference is {found.critical_difference:.1f}"
    assert difference in text[0].replace("\n  ", " ")


def test_differences_in_the_text_are_those_of_the_paired_tables():
    """Every "3.1 ± 1.3 points" of the page is a cell of one of the tables it points to."""
    pages = FINDINGS + (ROOT / "README.md").read_text("utf-8")
    pages += (ROOT / "book" / "index.md").read_text("utf-8")
    written = re.findall(r"(-?\d+\.\d ± \d+\.\d) points", pages.replace("\n ", ""))
    assert len(written) >= 5
    names = (
        "paired_fused",
        "paired_weakest",
        *(f"gains_{w.fusion}_{w.dataset}" for w in WHOLE),
        "gains_fused",
        "gains_weakest",
        "gains_head",
        *(f"elsewhere_{w.fusion}_{w.dataset}" for w in ELSEWHERE),
        "label_noise_tuned",
    )
    tables = [ROOT / "figures" / f"table_{name}.md" for name in names]
    drawn = {
        c for path in tables for line in path.read_text("utf-8").splitlines() for c in cells(line)
    }
    assert set(written) <= drawn


def test_numbers_of_the_teachers_page_are_those_of_tables_and_notebook():
    page = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if "not much worse?" in line)
    pairs = re.findall(r"(\d+\.\d ± \d+\.\d) against (\d+\.\d ± \d+\.\d)", row)
    assert len(pairs) == 2
    for pair, name in zip(pairs, ("avmnist_mini", "digits"), strict=True):
        text = (ROOT / "figures" / f"table_methods_late_{name}.md").read_text(encoding="utf-8")
        table = [cells(line) for line in text.splitlines() if line.startswith("|")]
        column = table[0].index("fused")
        drawn = {r[0]: r[column] for r in table}
        assert pair == (drawn["Unimodal"], drawn["Joint training"])
    solved = ROOT / "notebooks" / "solutions" / "01_when_one_modality_wins.ipynb"
    printed = solved.read_text(encoding="utf-8")
    joint, alone = re.search(r"audio +(0\.\d+) +(0\.\d+)", printed).groups()
    assert f"{float(alone):.0%} against {float(joint):.0%}".replace("%", " %") in page
    ahead = re.search(r"The ensemble is \+(\d\.\d) points", printed)
    assert ahead is not None and f"{ahead[1]} points ahead" in row
    assert len(re.findall(r"^\| 0[0-4]", page.partition("first reader")[2], re.MULTILINE)) <= 15


def test_both_tables_of_gains_are_the_drawn_ones():
    for heading, name in (("whole model", "fused"), ("weakest modality", "weakest")):
        table = FINDINGS[FINDINGS.index(f"| {heading} | SAM |") :].split("\n\n")[0].splitlines()
        text = (ROOT / "figures" / f"table_gains_{name}.md").read_text(encoding="utf-8")
        drawn = [re.sub(r" \[\d+\]", "", x).split("|") for x in text.splitlines() if "|" in x]
        titles = [c.strip() for c in drawn[0]]
        order = [titles.index(c) for c in cells(table[0])[1:]]
        assert len(order) == len(titles) - 3  # a setting's name, and nothing outside the lines
        assert len(drawn) == len(table) == len(SEARCHED) + 2
        # the same rows in the same order, what is bold too
        for shown_row, own in zip(table[2:], drawn[2:], strict=True):
            assert [c.strip() for c in shown_row.split("|")[2:-1]] == [
                own[k].strip() for k in order
            ]


def test_the_table_of_wrong_labels_is_the_drawn_one():
    text = (ROOT / "figures" / "table_label_noise_tuned.md").read_text(encoding="utf-8")
    drawn = [line for line in text.splitlines() if line.startswith("|")]
    assert len(drawn) == len(WRONG) + 2 and "\n".join(drawn) in FINDINGS


def test_accuracies_before_and_after_the_search_are_the_frozen_ones():
    data = [
        results.load(f"{n}_avmnist_mini", ROOT / "figures" / "data") for n in ("methods", "untuned")
    ]
    before, after = before_after(*data)["late fusion"]
    order = ["Joint training", "Joint + unimodal losses", "MASAM", "M-SAM"]
    text = FINDINGS[FINDINGS.index("With one learning rate for all, the preset's") :]
    text = text[: text.index("([figure]")]
    written = re.findall(r"\d\d\.\d", text)
    assert written == [f"{t['mean'][n]:.1f}" for t in (before, after) for n in order]
