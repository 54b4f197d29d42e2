"""mosi on the real files: rows and videos belong together, no video is in two splits."""

from __future__ import annotations

import csv
import io
import os

import numpy as np
import pytest

from msam_lib.data import load_dataset, mosi
from msam_lib.data._download import read_members
from msam_lib.data._tabular import read_csv

real = pytest.mark.skipif("MSAM_DATA" not in os.environ, reason="needs MSAM_DATA, a data folder")


@real
def test_videos_are_in_one_part_and_rows_are_where_the_transcripts_say():
    files = read_members(mosi.SOURCE)
    text = files["transcripts.csv"].decode("utf-8", "replace")
    rows = list(csv.reader(io.StringIO(text)))
    videos = np.array([row[0].rpartition("_")[0] for row in rows])
    labels = np.array([int(row[3]) for row in rows])
    seen = {}
    for part in ("train", "test"):
        place = read_csv(files[f"text_{part}.csv"], part)[:, 0].astype(int)
        table = read_csv(files[f"text/text_{part}0.csv"], part)
        assert np.array_equal(labels[place], table[:, -1])
        seen[part] = set(videos[place])
    assert (len(seen["train"]), len(seen["test"])) == (62, 31)
    assert not seen["train"] & seen["test"]


@real
def test_validation_takes_whole_videos_of_the_official_test_part():
    video = mosi._videos(read_members(mosi.SOURCE), 752)
    for seed in (0, 1):
        drawn = np.random.default_rng(seed).permutation(np.unique(video))
        held = np.isin(video, drawn[: round(0.33 * len(drawn))])
        data = load_dataset("mosi", seed=seed)
        assert (len(data.val), len(data.test)) == (int(held.sum()), int((~held).sum()))
        assert not set(video[held]) & set(video[~held])
