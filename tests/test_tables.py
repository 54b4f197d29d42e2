"""The results table: values, ranks, and every format it is written in."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET

import pytest

from msam_lib import plots
from msam_lib.plots.table import Cell, _tex
from tests import fabricated


def small_table() -> plots.Table:
    return plots.results_table(
        fabricated.results(labels=fabricated.LABELS),
        paper={"joint": 68.41, "msam": 74.08},
        paper_title="paper, other_data",
        missing={"OGM-GE": "needs per-modality logits"},
        caption="Accuracy in %",
        notes=["A note."],
    )


def test_results_table_values_and_ranks():
    table = small_table()
    assert table.columns == ("audio", "visual", "fused")
    rows = {r.name: r for r in table.rows}
    assert list(rows) == ["OGM-GE", "Unimodal", "Joint training", "SAM", "M-SAM", "M-SAM (encoder)"]
    assert rows["SAM"].cells[2].mean == pytest.approx(100 * fabricated.accuracy(2, 1, 2, -1))
    assert rows["SAM"].cells[2].text == "74.0 ± 5.0"
    assert [rows[n].cells[0].rank for n in ("M-SAM (encoder)", "M-SAM", "SAM")] == [1, 2, 0]
    # unimodal: its own models, and not ranked
    assert rows["Unimodal"].cells[0].mean == pytest.approx(
        100 * (fabricated.accuracy(1, 1, 2, 0) + 0.1)
    )
    assert {c.rank for c in rows["Unimodal"].cells} == {0}
    assert [r.paper for r in table.rows] == ["", "", "68.41", "", "74.08", ""]
    assert "fused M-SAM (encoder)" in plots.table_alt(table)


def test_table_as_markdown():
    text = small_table().to("md")
    lines = [x for x in text.splitlines() if x.startswith("|")]
    assert len({x.count("|") for x in lines}) == 1 and len(lines) == 8
    assert "**76.0 ± 5.0**" in text and "<u>75.0 ± 5.0</u>" in text and "*68.41*" in text
    assert "— [1]" in text and "- [1] needs per-modality logits" in text and "- A note." in text


def test_table_as_latex():
    text = small_table().to("tex")
    assert r"\textbf{76.0 $\pm$ 5.0}" in text and r"\underline{75.0 $\pm$ 5.0}" in text
    assert r"other\_data" in text and r"Accuracy in \%" in text and r"\toprule" in text
    body = [x for x in text.splitlines() if x.endswith(r"\\")]
    assert {x.count(" & ") for x in body} == {4}
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert _tex(r"a\b{c}") == r"a\textbackslash{}b\{c\}"


def test_table_as_csv():
    rows = list(csv.DictReader(io.StringIO(small_table().to("csv"))))
    assert float(rows[3]["fused mean"]) == pytest.approx(74)
    assert rows[0]["fused mean"] == "" and rows[3]["fused n"] == "3"


def test_table_as_html_is_accessible():
    text = small_table().to("html")
    root = ET.fromstring(f"<div>{text}</div>")
    table = root.find("table")
    assert table.find("caption").text == "Accuracy in %"
    assert {th.get("scope") for th in table.iter("th")} == {"col", "row"}
    assert table.find(".//td[@title='needs per-modality logits']") is not None
    assert small_table()._repr_html_() == text


def test_fewer_seeds_are_noted_and_many_epochs_reduced():
    frame = fabricated.results()
    frame = frame[~((frame["label"] == "sam:rho=0.1") & (frame["seed"] > 0))]
    text = plots.results_table(frame).to("md")
    assert re.search(r"\| SAM \| 52\.0 \[1\]", text) and "1 of 3 seeds only" in text


def test_several_fusions_become_column_groups():
    table = plots.results_table(fabricated.everything())
    assert table.columns[0] == "late audio" and table.columns[-1] == "maxout fused"
    assert next(r for r in table.rows if r.name == "Unimodal").cells[-1].text == "—"
    assert "not among these runs" in table.to("md")
    assert Cell().text == "—"
    assert Cell(mean=-0.04, half=0.3).text == "0.0 ± 0.3"
