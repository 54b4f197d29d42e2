"""CREMA-D in small: a distribution, its prepared cache, and a copy to damage."""

from __future__ import annotations

import shutil

import pytest

from msam_lib.data import prepare_dataset
from tests.data.distributions import cremad_names, make_cremad, write_csv


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    return make_cremad(tmp_path_factory.mktemp("CREMA-D"), cremad_names())


@pytest.fixture(scope="session")
def clips_cache(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    prepare_dataset("cremad", clips, folder, jobs=2, side=12)
    return folder


@pytest.fixture
def prepared(clips_cache, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(clips_cache))
    monkeypatch.delenv("MSAM_DATA", raising=False)
    return clips_cache


@pytest.fixture
def few(clips, tmp_path, monkeypatch):
    """A copy with twelve of the clips, for damage."""
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    names = cremad_names(train=1, test=1)
    folder = tmp_path / "few"
    for sub in ("AudioWAV", "VideoFlash", "processedResults"):
        (folder / sub).mkdir(parents=True)
    for name in names:
        for path in (f"AudioWAV/{name}.wav", f"VideoFlash/{name}.flv"):
            shutil.copy(clips / path, folder / path)
    table = "processedResults/summaryTable.csv"
    shutil.copy(clips / table, folder / table)
    stimuli = [[k, name] for k, name in enumerate(names, start=1)]
    write_csv(folder / "SentenceFilenames.csv", ["Stimulus_Number", "Filename"], stimuli)
    return folder, names
