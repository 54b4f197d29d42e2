"""Own results beside the reference: the interval by hand, and what the command leaves alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from scipy.stats import t

from msam_lib.cli import figures
from msam_lib.cli.main import main
from msam_lib.results.reference import against_reference, reference_text
from tests import fabricated

ROOT = Path(__file__).resolve().parent.parent


def test_the_interval_by_hand():
    # Fabricated test accuracies: 0.7 + 0.02 seed, so 70, 72, 74 % of the first method.
    reference = fabricated.results(seeds=(0, 1, 2))
    own = fabricated.results(seeds=(0, 1))
    table = against_reference(own, reference).set_index("label")
    row = table.loc["joint"]
    assert (row["own"], row["reference"], row["seeds"]) == pytest.approx((71, 72, 2))
    half = t.ppf(0.975, 2) * 2 * (1 / 3 + 1 / 2) ** 0.5
    assert (row["low"], row["high"]) == pytest.approx((72 - half, 72 + half))
    assert set(table["place"]) == {"inside"}
    moved = own.assign(value=own["value"] + 0.2 * (own["label"] == "joint"))
    moved["value"] -= 0.2 * (moved["label"] == "unimodal")
    places = against_reference(moved, reference).set_index("label")["place"]
    assert (places["joint"], places["unimodal"], places["sam:rho=0.1"]) == (
        "above", "below", "inside"
    )  # fmt: skip
    text = reference_text(against_reference(moved, reference))
    assert "3 of 5 means lie inside" in text and "| Joint training | 91.0 | 72.0 |" in text


def test_one_seed_has_no_interval_and_other_methods_are_left_out():
    reference = fabricated.results(seeds=(0,))
    own = fabricated.results(seeds=(0, 1), labels=("joint", "agm"))
    table = against_reference(own, reference)
    assert table["label"].tolist() == ["joint"] and table["place"].tolist() == [""]
    assert "one seed" in reference_text(table) and "0 of 0" in reference_text(table)


def test_training_writes_beside_the_reference(tmp_path, monkeypatch, capsys):
    """`figures` trains into a folder of its own, ends with both results, and changes no other."""
    place = tmp_path / "figures" / "data"
    place.mkdir(parents=True)
    for path in (ROOT / "figures" / "data").glob("avmnist_mini.*"):
        (place / path.name).write_bytes(path.read_bytes())
    before = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in place.iterdir()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(figures, "OWN", tmp_path / "own")

    def trained(preset, seeds, *, folder, **where):
        Path(folder).mkdir(parents=True)
        for path in list(before):
            (folder / path.name).write_bytes(path.read_bytes())
        yield folder / "avmnist_mini.csv.gz"

    monkeypatch.setattr("msam_lib.experiments.freeze.suite.freeze_suite", trained)
    assert main(["figures", "table_late"]) == 0
    out = capsys.readouterr().out
    assert "1 figures and tables drawn in" in out and "18 of 18 means lie inside" in out
    assert (tmp_path / "own" / "table_late.md").exists()
    assert {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in place.iterdir()} == before
    assert not (tmp_path / "figures" / "table_late.md").exists()
