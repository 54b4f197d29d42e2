"""Archives as GitHub packs them, everything below one folder, are the same data."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from msam_lib.data import _download as download
from msam_lib.data import isl, signs

real = pytest.mark.skipif("MSAM_DATA" not in os.environ, reason="needs MSAM_DATA, a data folder")


@real
@pytest.mark.parametrize("source", [signs.SOURCE, isl.SOURCE], ids=["signs", "isl"])
def test_a_folder_around_everything_changes_nothing(source, tmp_path, monkeypatch):
    expected = download.read_members(source)
    packed = tmp_path / "commit.tar.gz"
    with (
        zipfile.ZipFile(Path(os.environ["MSAM_DATA"]) / source.path) as archive,
        tarfile.open(packed, "w:gz", compresslevel=1) as file,
    ):
        for name in archive.namelist():
            member = tarfile.TarInfo(f"repository-0123abc/{name}")
            member.size = archive.getinfo(name).file_size
            file.addfile(member, io.BytesIO(archive.read(name)))
    monkeypatch.delenv("MSAM_DATA")
    monkeypatch.setattr(download, "_download", lambda source: packed)
    assert download.read_members(source) == expected
