"""The catalogue's rows: what they name is there, and what they say of it is so."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pandas as pd
import pytest

from msam_lib.catalogue import CORRECTED, DATASETS, FUSIONS, METHODS, VERSION
from msam_lib.data import LOADERS
from msam_lib.experiments import Experiment
from msam_lib.experiments.trials import coarse
from msam_lib.labels import Case
from msam_lib.methods import METHODS as CLASSES
from msam_lib.methods import Method
from msam_lib.models import FUSIONS as FUSION_CLASSES
from msam_lib.models import Fusion
from msam_lib.results.frozen import outdated, version_of

KINDS = ("nothing", "loss", "gradient", "schedule", "landscape", "data", "model")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_what_its_row_says(name):
    row, cls = METHODS[name], CLASSES[name]
    assert issubclass(cls, Method) and cls.__module__ == row.target.partition(":")[0].replace(
        ".", "msam_lib.", 1
    )
    assert row.title and row.kind in KINDS
    assert bool(row.option) == bool(row.values)
    if row.option:
        assert row.option in cls.options()
        assert len(set(row.values)) == 3 and sorted(row.values) == list(row.values)
        for value in row.values:
            assert repr(cls(**{row.option: value}))  # each is allowed


def test_the_middle_value_is_tried_first():
    for name, row in METHODS.items():
        if row.option:
            assert {o[row.option] for _, o in coarse(Case(name, {}), 0.1, 3)} == {row.values[1]}


def test_one_method_has_one_title_and_all_kinds_are_there():
    assert len({row.title for row in METHODS.values()}) == len(METHODS)
    assert {row.kind for row in METHODS.values()} == set(KINDS)


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_the_options_that_its_row_explains(name):
    row = DATASETS[name]
    parameters = inspect.signature(LOADERS[name]).parameters
    assert {*parameters} == {*row.options, "seed", "modalities"}
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    assert row.summary and row.reference


@pytest.mark.parametrize("name", FUSIONS)
def test_a_fusion_is_what_its_row_says(name):
    assert issubclass(FUSION_CLASSES[name], Fusion)
    assert FUSIONS[name].words and FUSIONS[name].short


def test_words_tell_fusions_apart():
    for words in ("words", "short"):
        assert len({getattr(row, words) for row in FUSIONS.values()}) == len(FUSIONS)


def test_reading_the_rows_imports_nothing_heavy():
    code = "import sys, msam_lib.catalogue; sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_corrections_name_methods_and_raise_the_version():
    assert list(CORRECTED) == sorted(CORRECTED) and min(CORRECTED) == 2
    assert {m for methods in CORRECTED.values() for m in methods} <= set(METHODS)
    assert Experiment().config()["version"] == VERSION == max(CORRECTED)


def test_rows_measured_before_a_correction_are_named():
    frame = pd.DataFrame({"method": ["joint", "msam", "ogm_ge"]})
    assert outdated(frame) == ["OGM-GE", "M-SAM"]
    frame.attrs["provenance"] = {"settings": {"a": {"version": 1}, "b": {"version": VERSION}}}
    assert version_of(frame) == 1 and outdated(frame) == ["OGM-GE", "M-SAM"]
    frame.attrs["provenance"] = {"settings": {"a": {"version": VERSION}}}
    assert outdated(frame) == []
    assert version_of(frame.assign(x=1)) == VERSION  # kept by what selects rows
