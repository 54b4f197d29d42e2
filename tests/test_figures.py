"""The registry builds every item from made-up results, and notices what has become stale."""

from __future__ import annotations

import json

import pytest

from msam_lib.errors import MsamError
from msam_lib.figures import build as products
from msam_lib.figures import registry as paper
from msam_lib.plots import results_table as tables
from msam_lib.plots import style
from tests import fabricated


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with everything drawn."""
    out = tmp_path_factory.mktemp("figures")
    (out / "data").mkdir()
    for name in ("digits", "avmnist"):
        fabricated.everything().to_csv(out / "data" / f"{name}.csv.gz", index=False)
    fabricated.landscapes().to_csv(out / "data" / "landscapes.csv.gz", index=False)
    fabricated.sharpness().to_csv(out / "data" / "sharpness.csv.gz", index=False)
    assert paper.build_all(out=out) == list(paper.ITEMS)
    return out


def test_all_products_are_there(built):
    manifest = json.loads((built / "manifest.json").read_text())
    assert list(manifest) == list(paper.ITEMS)
    for name, entry in manifest.items():
        kinds = tables.FORMATS if name.startswith("table_") else style.FORMATS
        assert entry["files"] == [f"{name}.{kind}" for kind in kinds]
        assert all((built / file).stat().st_size > 100 for file in entry["files"])
        assert len(entry["alt"]) > 40 and "seed" in entry["caption"]
        assert set(entry["data"]) == {paper.ITEMS[name].needs}


def test_what_was_just_drawn_is_not_stale(built):
    assert paper.build_all(out=built, check=True) == []


def test_a_missing_product_is_stale(built):
    file = built / "table_late.tex"
    content = file.read_text()
    file.unlink()
    assert paper.build_all(out=built, check=True) == ["table_late"]
    assert paper.build_all(["table_maxout"], out=built, check=True) == []
    file.write_text(content)


def test_changed_data_make_what_is_drawn_from_them_stale(built):
    data = built / "data" / "digits.csv.gz"
    before = data.read_bytes()
    frame = fabricated.everything()
    frame["value"] *= 0.5
    frame.to_csv(data, index=False)
    try:
        stale = [name for name, item in paper.ITEMS.items() if item.needs == "digits"]
        assert paper.build_all(out=built, check=True) == stale
    finally:
        data.write_bytes(before)


def test_changed_code_makes_everything_stale(built, monkeypatch):
    monkeypatch.setattr(products, "code_hash", lambda: "other")
    assert paper.build_all(out=built, check=True) == list(paper.ITEMS)


def test_drawing_one_item_keeps_the_others_entries(built):
    assert paper.build_all(["table_late"], out=built) == ["table_late"]
    assert paper.build_all(out=built, check=True) == []


def test_unknown_items_and_missing_runs_are_named(built):
    with pytest.raises(MsamError, match="Did you mean 'table_late'"):
        paper.build_all(["table_lat"], out=built)
    frame = fabricated.results()
    with pytest.raises(MsamError, match="No runs with fusion 'maxout'"):
        paper.ITEMS["table_maxout"].build(frame)


def test_tables_leave_out_the_strong_versus_weak_runs():
    rows = paper.ITEMS["table_late"].build(fabricated.everything()).rows
    assert [r.name for r in rows] == [
        "Unimodal", "Joint training", "SAM", "M-SAM", "M-SAM (encoder)",
    ]  # fmt: skip
    rows = paper.ITEMS["table_maxout"].build(fabricated.everything()).rows
    assert rows[0].name == "Unimodal" and rows[0].cells[0].text == "—"
    assert rows[0].cells[0].note.startswith("needs per-modality logits")


def test_one_sam_serves_both_comparisons():
    """Where the table's radius is that of the comparison there is one run for both."""
    frame = fabricated.everything()
    frame = frame[frame["label"] != "sam:rho=0.1"]
    names = [r.name for r in paper.ITEMS["table_late"].build(frame).rows]
    assert "SAM" in names
    assert "all weights (SAM)" in paper.ITEMS["strong_versus_weak"].alt(frame)


def test_the_suite_trains_what_the_items_show():
    from msam_lib.experiments.suite import suite

    labels = {(e.fusion, e.label) for e in suite(seeds=[0])}
    late = {label for fusion, label in labels if fusion == "late"}
    assert {"joint", "unimodal"} <= late
    from msam_lib.results.rows import roles

    assert len(roles(sorted(late))) == 4
