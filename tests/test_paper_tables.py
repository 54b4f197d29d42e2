"""Tables 1 and 2 in the paper's layout, with and without comparisons on its other data sets."""

from __future__ import annotations

import json

import pytest

from msam_lib.figures.build import build, sources
from msam_lib.figures.paper_tables import ITEMS, OPTIONAL, paper_layout
from msam_lib.figures.published import ALONE, BASELINE, PAPER, PUBLISHED, SETS
from tests import fabricated

LABELS = ("joint", "unimodal", "ogm_ge", "sam", "msam")


def comparison(dataset: str, modalities=("audio", "visual"), fusion: str = "late"):
    """Made-up rows of a comparison; the accuracy rises from the first label to the last."""
    frame = fabricated.results(modalities, LABELS, fusion=fusion)
    return frame.assign(dataset=dataset, run=dataset + frame["run"])


@pytest.fixture
def frames():
    return {name: comparison(name) for name in ("avmnist_mini", "avmnist")}


def cell(table, row: str, column: str):
    found = next(r for r in table.rows if r.name == row)
    return found.cells[table.columns.index(column)]


def test_the_papers_numbers_are_as_noted():
    """M-SAM's gains in the paper: 0.5 to 1.7 points over the best other, 0.9 to 2.4 over SAM."""
    over_best, over_sam = [], []
    for sets in PAPER.values():
        assert list(sets) == list(SETS)
        for numbers in sets.values():
            best = max(v for k, v in numbers.items() if k not in ("sam", "msam", "joint"))
            over_best.append(numbers["msam"] - best)
            over_sam.append(numbers["msam"] - numbers["sam"])
            assert numbers["joint"] < numbers["sam"] < numbers["msam"]
    assert min(over_best) >= 0.45 and max(over_best) < 1.75
    assert min(over_sam) >= 0.85 and max(over_sam) < 2.45
    assert PUBLISHED["late"]["msam"] == 74.08 and PUBLISHED["maxout"]["msam"] == 74.48


def test_columns_are_the_papers_data_sets(frames):
    table = paper_layout("late", frames)
    assert table.groups == (
        ("avmnist_mini", 3), ("AV-MNIST", 4), ("CREMA-D", 4), ("UR-Funny", 5), ("AVE", 4),
    )  # fmt: skip
    assert table.columns[3:7] == (
        "AV-MNIST audio", "AV-MNIST visual", "AV-MNIST all", "AV-MNIST all, paper",
    )  # fmt: skip
    assert [r.name for r in table.rows][-3:] == [BASELINE, "SAM", "M-SAM"]
    assert all(len(r.cells) == len(table.columns) == 20 for r in table.rows)


def test_ours_and_the_papers_stand_side_by_side(frames):
    table = paper_layout("late", frames)
    ours, paper = (cell(table, "M-SAM", f"AV-MNIST {c}") for c in ("all", "all, paper"))
    # The fourth method of `fabricated` at its best epoch, mean of three seeds.
    expected = [fabricated.accuracy(4, s, 2, -1) for s in (0, 1, 2)]
    assert ours.mean == pytest.approx(100 * sum(expected) / 3) and ours.n == 3 and ours.half > 0
    assert paper.text == "74.08"
    assert (ours.rank, paper.rank) == (1, 1)
    assert cell(table, "SAM", "AV-MNIST all").rank == 2
    assert cell(table, "ReconBoost", "AV-MNIST all, paper").rank == 2
    assert cell(table, BASELINE, "CREMA-D all, paper").rank == 2
    assert cell(table, "Unimodal", "AV-MNIST all").rank == 0


def test_what_is_missing_is_a_dash_with_its_reason(frames):
    table = paper_layout("late", frames)
    for row, column, why in (
        ("SAM", "CREMA-D audio", "python -m msam_lib evidence cremad"),
        ("SAM", "AVE all", "python -m msam_lib evidence ave"),
        ("MSES", "AV-MNIST all", "not among these runs"),
        ("MSES", "AVE all, paper", "not known here"),
        (BASELINE, "AV-MNIST all", "name is not known"),
    ):
        missing = cell(table, row, column)
        assert missing.text == "—" and why in missing.note
        assert missing.note in table.to("md")
    assert not [c for r in table.rows for c in r.cells if c.text == "—" and not c.note]


@pytest.mark.parametrize("dataset", ["cremad", "urfunny", "ave"])
def test_a_comparison_of_another_data_set_fills_its_columns(frames, dataset):
    title, modalities = SETS[dataset]
    for m in modalities:
        assert cell(paper_layout("late", frames), "M-SAM", f"{title} {m}").text == "—"
    table = paper_layout("late", frames | {dataset: comparison(dataset, modalities)})
    for m in (*modalities, "all"):
        assert cell(table, "M-SAM", f"{title} {m}").rank == 1
        assert cell(table, "MSES", f"{title} {m}").note == "not among these runs"
    assert f"{dataset} 3 seeds" in table.notes[0]


def test_early_fusion_alone_is_no_number_of_late_fusion(frames):
    frames["cremad"] = comparison("cremad", fusion="maxout")
    assert (
        "not compared under late" in cell(paper_layout("late", frames), "SAM", "CREMA-D all").note
    )
    early = paper_layout("maxout", frames)
    assert cell(early, "SAM", "CREMA-D all").n == 3
    assert early.groups[0][0] == "AV-MNIST"  # the embedded data were not compared there


def test_wide_tables_have_groups_in_latex_and_html(frames):
    table = paper_layout("late", frames)
    tex, html = table.to("tex"), table.to("html")
    assert r"\multicolumn{5}{c}{UR-Funny}" in tex and r"\cmidrule(lr){13-17}" in tex
    assert tex.count(r"\resizebox") == 1 and r"\end{tabular}}" in tex and "graphicx" in tex
    assert '<th scope="colgroup" colspan="5">UR-Funny</th>' in html
    assert '<th scope="col">all, paper</th>' in html
    assert "UR-Funny text" in table.to("md") and "UR-Funny text mean" in table.to("csv")


def test_the_item_reads_what_is_there_and_is_stale_when_more_comes(tmp_path, frames):
    (tmp_path / "data").mkdir()
    for name, frame in frames.items():
        frame.to_csv(tmp_path / "data" / f"methods_{name}.csv.gz", index=False)
    items = {ITEMS[0].name: ITEMS[0]}
    assert sources(ITEMS[0], tmp_path) == ["methods_avmnist", "methods_avmnist_mini"]
    assert build(items, out=tmp_path) == ["table_paper_late"]
    assert build(items, out=tmp_path, check=True) == []
    before = (tmp_path / "table_paper_late.md").read_text()
    comparison("ave").to_csv(tmp_path / "data" / "methods_ave.csv.gz", index=False)
    assert build(items, out=tmp_path, check=True) == ["table_paper_late"]
    build(items, out=tmp_path)
    after = (tmp_path / "table_paper_late.md").read_text()
    assert "evidence ave" in before and "evidence ave" not in after
    entry = json.loads((tmp_path / "manifest.json").read_text())["table_paper_late"]
    assert list(entry["data"])[-1] == "methods_ave" and "methods_ave" in OPTIONAL
    assert build(items, out=tmp_path, check=True) == []


def test_known_numbers_of_single_modalities_are_notes(frames):
    notes = " ".join(paper_layout("late", frames).notes)
    for numbers in ALONE["late"].values():
        assert all(f"{n:.2f}" in notes for n in numbers.values())
