"""The official distribution of CREMA-D: its clips, checked file by file before anything is decoded.

A clip's name is ACTOR_SENTENCE_EMOTION_LEVEL, such as 1001_IEO_ANG_HI. The class is the *acted*
emotion of the name, as in all published splits, not what people heard or saw in it.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

from msam_lib.data._download import sha256_of
from msam_lib.data.media import LFS_POINTER, content
from msam_lib.data.prepared import Row
from msam_lib.data.tables import read_table
from msam_lib.errors import DatasetCorrupt, DatasetMissing

ALL = 7442
ACTORS = 91
# {code: (class name, letter in the votes)}, in the order of OGM-GE, AGM and BalanceBenchmark.
EMOTIONS = {
    "NEU": ("neutral", "N"), "HAP": ("happy", "H"), "SAD": ("sad", "S"),
    "FEA": ("fear", "F"), "DIS": ("disgust", "D"), "ANG": ("anger", "A"),
}  # fmt: skip
COUNTS = {"NEU": 1087, "HAP": 1271, "SAD": 1271, "FEA": 1271, "DIS": 1271, "ANG": 1271}
CLIP = re.compile(r"(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<label>[A-Z]+)_(?P<level>[A-Z]{2})")
# Named as damaged by the distribution's README: where one cannot be decoded, silence or a grey
# frame takes its place, so that the published splits keep their sizes.
KNOWN_BAD = ("1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX")
FOLDERS = {"audio": ("AudioWAV", ".wav"), "visual": ("VideoFlash", ".flv")}
VOTES = {"audio": "VoiceVote", "visual": "FaceVote", "fused": "MultiModalVote"}
WHERE = (
    "Clone https://github.com/CheyneyComputerScience/CREMA-D with Git LFS (about 7.5 GB; Open "
    "Database License), and name the clone's folder."
)


def clips(source: Path) -> list[Row]:
    """A row per clip: name, label (emotion code), actor, sentence, level, and what people voted for
    by `VOTES` (letters, several joined by ":" where they tied; "" where there are no votes).

    Raises:
        DatasetMissing: a file is missing, or a Git LFS pointer.
        DatasetCorrupt: a table has another header, a name an unknown emotion, or a class has
            another number of clips in a complete distribution.
    """
    table = source / "SentenceFilenames.csv"
    if not table.is_file():
        raise DatasetMissing(f"{table} is not there: {source} is not CREMA-D's folder. {WHERE}")
    names = [row["Filename"] for row in read_table(table, ["Stimulus_Number", "Filename"])]
    if not names:
        raise DatasetCorrupt(f"{table} lists no clips. {WHERE}")
    votes = _votes(source / "processedResults" / "summaryTable.csv")
    none = dict.fromkeys(VOTES, "")
    rows = []
    for name in names:
        parts = CLIP.fullmatch(name)
        if parts is None or parts["label"] not in EMOTIONS:
            raise DatasetCorrupt(
                f"{table} lists {name!r}, which names no known emotion: expected "
                f"ACTOR_SENTENCE_EMOTION_LEVEL with an emotion of {', '.join(EMOTIONS)}."
            )
        rows.append({"name": name, **parts.groupdict(), **votes.get(name, none)})
    _check_files(source, names)
    if len(names) == ALL:
        found = Counter(row["label"] for row in rows)
        if found != COUNTS or len({row["actor"] for row in rows}) != ACTORS:
            raise DatasetCorrupt(
                f"{table} has {dict(found)} clips per emotion; the complete distribution has "
                f"{COUNTS} of {ACTORS} actors. {WHERE}"
            )
    return rows


def media_path(source: Path, modality: str, name: str) -> Path:
    """The file of a clip."""
    folder, ending = FOLDERS[modality]
    return source / folder / f"{name}{ending}"


def test_clips() -> frozenset[str]:
    """Names of the 744 test clips of OGM-GE."""
    text = files("msam_lib.data").joinpath("embedded/cremad_test_clips.txt").read_text("utf-8")
    out = set()
    for line in text.splitlines():
        if not line.startswith("#"):
            actor, *rest = line.split()
            out |= {f"{actor}_{clip if clip.count('_') == 2 else clip + '_XX'}" for clip in rest}
    return frozenset(out)


def published_digests() -> dict[str, str]:
    """{path in the distribution: sha256} of all media files, from the list under `$MSAM_DATA`;
    empty without that list.
    """
    place = os.environ.get("MSAM_DATA")
    if place is None:
        return {}
    path = Path(place) / "cremad_ratings" / "CREMA-D_lfs_sha256_manifest.csv.gz"
    if not path.is_file():
        return {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return {row["path"]: row["sha256"] for row in csv.DictReader(file)}


def check_digest(path: Path, digests: dict[str, str]) -> None:
    """Compare a media file with the published digests, where it is among them.

    Raises:
        DatasetCorrupt: it has another digest.
    """
    expected = digests.get(f"{path.parent.name}/{path.name}")
    if expected is not None and sha256_of(path) != expected:
        raise DatasetCorrupt(
            f"{path} is not the published file: its sha256 differs. Fetch it again (git lfs pull)."
        )


def _votes(table: Path) -> dict[str, Row]:
    """{clip: {modality: letters}}; empty where the table is not there."""
    if not table.is_file():
        return {}
    rows = read_table(table, ["FileName", *VOTES.values()])
    return {r["FileName"]: {m: r[column] for m, column in VOTES.items()} for r in rows}


def _check_files(source: Path, names: list[str]) -> None:
    """Raise for the first media file that is missing or a pointer; say how many there are."""
    missing, pointers = [], []
    for name in names:
        for modality in FOLDERS:
            path = media_path(source, modality, name)
            if not path.is_file():
                missing.append(path)
            elif path.stat().st_size < 1000 and path.read_bytes().startswith(LFS_POINTER):
                pointers.append(path)
    total = len(names) * len(FOLDERS)
    if missing:
        raise DatasetMissing(
            f"{missing[0]} is not there ({len(missing)} of {total} media files are missing). "
            + WHERE
        )
    if pointers:
        try:
            content(pointers[0])
        except DatasetMissing as error:
            raise DatasetMissing(f"{error} ({len(pointers)} of {total} files are.)") from None
