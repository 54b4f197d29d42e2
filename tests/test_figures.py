"""The registry builds every item from made-up results, and notices what has become stale."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.errors import MsamError
from msam_lib.experiments.suite import suite
from msam_lib.figures import build as building
from msam_lib.figures.registry import ITEMS, build_all
from msam_lib.plots import style
from msam_lib.plots import table as tables
from msam_lib.results.frozen import load, write_frozen
from msam_lib.results.rows import roles, traced_rows
from tests import fabricated

DATA = Path(__file__).resolve().parent.parent / "figures" / "data"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with everything drawn."""
    out = tmp_path_factory.mktemp("figures")
    (out / "data").mkdir()
    for name in (DEFAULT_DATASET, "avmnist"):
        fabricated.everything().to_csv(out / "data" / f"{name}.csv.gz", index=False)
    fabricated.landscapes().to_csv(out / "data" / "landscapes.csv.gz", index=False)
    fabricated.sharpness().to_csv(out / "data" / "sharpness.csv.gz", index=False)
    assert build_all(out=out) == list(ITEMS)
    return out


def test_all_products_are_there(built):
    manifest = json.loads((built / "manifest.json").read_text())
    assert list(manifest) == list(ITEMS)
    for name, entry in manifest.items():
        usual = tables.FORMATS if name.startswith("table_") else style.FORMATS
        kinds = ITEMS[name].formats or usual
        assert entry["files"] == [f"{name}.{kind}" for kind in kinds]
        assert all((built / file).stat().st_size > 100 for file in entry["files"])
        assert len(entry["alt"]) > 40 and "seed" in entry["caption"]
        assert set(entry["data"]) == {ITEMS[name].needs, *ITEMS[name].beside}


def test_what_was_just_drawn_is_not_stale(built):
    assert build_all(out=built, check=True) == []


def test_a_missing_product_is_stale(built):
    file = built / "table_late.tex"
    content = file.read_text()
    file.unlink()
    assert build_all(out=built, check=True) == ["table_late"]
    assert build_all(["table_maxout"], out=built, check=True) == []
    file.write_text(content)


def test_changed_data_make_what_is_drawn_from_them_stale(built):
    data = built / "data" / f"{DEFAULT_DATASET}.csv.gz"
    before = data.read_bytes()
    frame = fabricated.everything()
    frame["value"] *= 0.5
    frame.to_csv(data, index=False)
    try:
        stale = [name for name, item in ITEMS.items() if DEFAULT_DATASET in item.sources]
        assert build_all(out=built, check=True) == stale
    finally:
        data.write_bytes(before)


# Items that print something of the search: all that say how a number was tuned.
SEARCHED = {
    name for name in ITEMS if name.startswith(("table_methods_", "table_paired_", "table_gains_"))
}
SEARCHED -= {"table_methods_cost"}
SEARCHED |= {"claims", "methods_ranks", "search_avmnist", "dial", "gains_everywhere",
             "gain_against_cost", "label_noise_tuned", "table_label_noise_tuned"}  # fmt: skip


def test_one_changed_learning_rate_makes_what_prints_the_search_stale(built, tmp_path):
    out = tmp_path / "figures"
    shutil.copytree(built, out)
    search = load("search", DATA)
    coarse = search["dataset"].eq("mfeat") & search["round"].eq("coarse")  # the same for all
    rate = search.loc[coarse & search["label"].eq("joint"), "lr"]
    assert rate.max() == search.loc[coarse, "lr"].max()
    search.loc[rate.idxmax(), "lr"] = 0.5  # larger than any other method's
    text = search.to_csv(index=False, lineterminator="\n")
    write_frozen(out / "data" / "search.csv.gz", text, {})
    assert set(build_all(out=out, check=True)) == SEARCHED
    table = out / "table_methods_late_mfeat.md"
    note = "Joint training met learning rates up to 0.5"
    assert note not in table.read_text("utf-8")
    build_all(["table_methods_late_mfeat", "table_paired_fused"], out=out)
    assert note in table.read_text("utf-8")
    assert "mfeat, late" in (out / "table_paired_fused.md").read_text("utf-8").split("older")[1]
    left = SEARCHED - {"table_methods_late_mfeat", "table_paired_fused"}
    assert set(build_all(out=out, check=True)) == left


def test_changed_code_makes_everything_stale(built, monkeypatch):
    monkeypatch.setattr(building, "code_hash", lambda modules: "other")
    assert build_all(out=built, check=True) == list(ITEMS)


def test_drawing_one_item_keeps_the_others_entries(built):
    assert build_all(["table_late"], out=built) == ["table_late"]
    assert build_all(out=built, check=True) == []


def test_unknown_items_and_missing_runs_are_named(built):
    with pytest.raises(MsamError, match="Did you mean 'table_late'"):
        build_all(["table_lat"], out=built)
    with pytest.raises(MsamError, match="No runs with fusion 'maxout'"):
        ITEMS["table_maxout"].build({DEFAULT_DATASET: fabricated.results()})


def test_tables_leave_out_the_strong_versus_weak_runs():
    frames = {DEFAULT_DATASET: fabricated.everything()}
    rows = ITEMS["table_late"].build(frames).rows
    assert [r.name for r in rows] == [
        "Unimodal", "Joint training", "SAM", "M-SAM", "M-SAM (encoder)",
    ]  # fmt: skip
    rows = ITEMS["table_maxout"].build(frames).rows
    assert rows[0].name == "Unimodal" and rows[0].cells[0].text == "—"
    assert rows[0].cells[0].note.startswith("needs per-modality logits")


def test_traces_leave_out_the_strong_versus_weak_runs():
    frame = fabricated.everything().assign(metric="hessian_trace")
    assert {label for label in frame["label"] if label.startswith("sam")} > {"sam:rho=0.1"}
    shown = set(traced_rows(frame)["label"])
    assert "sam:rho=0.1" in shown
    assert shown.isdisjoint(set(fabricated.EXTRA))


def test_one_sam_serves_both_comparisons():
    """Where the table's radius is that of the comparison there is one run for both."""
    frame = fabricated.everything()
    frames = {DEFAULT_DATASET: frame[frame["label"] != "sam:rho=0.1"]}
    names = [r.name for r in ITEMS["table_late"].build(frames).rows]
    assert "SAM" in names
    assert "all weights (SAM)" in ITEMS["strong_versus_weak"].alt(frames)


def test_the_suite_trains_what_the_items_show():
    labels = {(e.fusion, e.label) for e in suite(seeds=[0])}
    late = {label for fusion, label in labels if fusion == "late"}
    assert {"joint", "unimodal"} <= late
    assert len(roles(sorted(late))) == 4
