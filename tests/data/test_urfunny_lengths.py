"""urfunny's six pickles where their numbers of words disagree."""

from __future__ import annotations

import numpy as np
import pytest

from msam_lib.cli.main import main
from msam_lib.data import _urfunny_official, load_dataset, prepare_dataset
from msam_lib.errors import DatasetCorrupt
from tests.data.test_urfunny_official import SDK, SHORT, N, made, write


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MSAM_DATA", raising=False)


def test_context_is_looked_at_where_it_is_used(tmp_path):
    content = made()
    content[SDK["audio"]][7]["context_features"] = [SHORT]
    folder = write(tmp_path / "six", content)
    prepare_dataset("urfunny", folder)
    with pytest.raises(
        DatasetCorrupt, match=r"covarep.*id 7 has features of 2 \+ 3 words.* 4 \+ 3"
    ):
        prepare_dataset("urfunny", folder, context=1)


def test_a_few_samples_whose_files_disagree_are_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_urfunny_official, "TOLERATED", N)  # so that one of the 24 may
    content = made()
    content[SDK["audio"]][7]["punchline_features"] = SHORT
    folder = write(tmp_path / "six", content)
    assert main(["prepare", "urfunny", "--source", str(folder)]) == 0
    assert "Left out, for their files disagree in words: 7." in capsys.readouterr().out
    # Of 14 ids, one has no words (10) and one is left out (7).
    assert len(load_dataset("urfunny").train) == 12
    content[SDK["vision"]][8]["punchline_features"] = np.zeros((2, 371))
    with pytest.raises(DatasetCorrupt, match="id 7 has features of 2 words"):
        prepare_dataset("urfunny", write(tmp_path / "more", content), tmp_path / "third")
