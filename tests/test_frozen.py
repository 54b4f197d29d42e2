"""Frozen results: the same bytes for the same rows, and which of them are out of date."""

from __future__ import annotations

import pandas as pd

from msam_lib.catalogue import CORRECTED, METHODS
from msam_lib.results.frozen import outdated, version_of, write_frozen


def rows(methods, **versions):
    frame = pd.DataFrame({"method": list(methods)})
    frame.attrs["provenance"] = {"settings": {k: {"version": v} for k, v in versions.items()}}
    return frame


def test_bytes_do_not_depend_on_the_clock(tmp_path, monkeypatch):
    written = []
    for now in (1.0e9, 1.7e9):
        monkeypatch.setattr("time.time", lambda now=now: now)
        written.append(write_frozen(tmp_path / "a.csv.gz", "x,y\n1,2\n", {}).read_bytes())
    assert written[0] == written[1]


def test_the_oldest_run_decides_the_version():
    assert version_of(rows([], a=3, b=1, c=2)) == 1
    assert version_of(pd.DataFrame()) == 1


def test_a_method_corrected_since_is_out_of_date():
    newest = max(CORRECTED)
    name = CORRECTED[newest][0]
    untouched = next(m for m in METHODS if all(m not in c for c in CORRECTED.values()))
    assert outdated(rows([name, untouched], a=newest - 1)) == [METHODS[name].title]
    assert outdated(rows([name, untouched], a=newest)) == []
