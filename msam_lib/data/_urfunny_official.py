"""UR-FUNNY V2 from its authors' six pickles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msam_lib._utils.progress import progress_bar
from msam_lib.data._parts import sequence
from msam_lib.data._urfunny_source import (
    FEATURES,
    FOLDS,
    LABELS,
    OFFICIAL,
    SIZES,
    VECTORS,
    WORDS,
    Samples,
    left_out,
)
from msam_lib.data.pickles import read_pickle
from msam_lib.data.prepared import Row
from msam_lib.errors import DatasetCorrupt

NAMES = {"train": "train", "val": "dev", "test": "test"}
TOLERATED = 100  # one id in so many may have files that disagree
PUBLISHED = 10_166  # ids in the folds, as the authors' notebook counts them
AGAIN = "Fetch all six files again, so that they are of one version"
Sentences = list[np.ndarray]  # of a sample, the punchline last


def read_official(folder: Path, context: int) -> Samples:
    """The samples of the six pickles; a word becomes its row of the list of vectors.

    Args:
        folder: that holds them.
        context: how many of the sentences before the punchline, the nearest ones, are put before
            it.

    Raises:
        DatasetMissing, DatasetCorrupt: what is missing or damaged, by file and id.
    """
    with progress_bar(total=len(OFFICIAL), desc="read urfunny", unit="file") as bar:

        def content(name: str) -> Any:
            bar.update()
            return read_pickle(folder / name)

        parts = _folds(content(FOLDS), folder / FOLDS)
        labels = _labels(content(LABELS), folder / LABELS, parts)
        vectors = _numbers(content(VECTORS), SIZES["text"], f"{folder / VECTORS}")
        words = _words(content(WORDS), folder / WORDS, parts, context, len(vectors))
        # One after the other: each is a file of gigabytes, of which little is kept.
        odd: set[str] = set()  # ids with unequal numbers of words, left out
        stored = {
            m: _features(content(name), folder / name, words, context, SIZES[m], odd)
            for m, name in FEATURES.items()
        }
    rows: list[Row] = []
    silent = dict.fromkeys(NAMES, 0)
    for key, part in parts.items():
        if key in odd:
            continue
        # Of the punchline, so that the samples are the same with any context.
        if vectors[words[key][-1]].sum() != 0:
            rows.append({"part": part, "id": key, "label": str(labels[key])})
        else:
            silent[part] += 1

    def features(row: Row) -> Mapping[str, np.ndarray]:
        said = vectors[np.concatenate(words[row["id"]])]
        return {m: x[row["id"]] for m, x in stored.items()} | {"text": said}

    if not rows:
        raise DatasetCorrupt(f"{folder}: no sample has words with a vector. {AGAIN}.")
    steps = max(sum(map(len, words[row["id"]])) for row in rows)
    count = "as published" if len(parts) == PUBLISHED else f"where {PUBLISHED:,} are published"
    notes = [f"{len(parts):,} ids in {FOLDS}, {count}.", left_out(silent)]
    if odd:
        notes.append(f"Left out, for their files disagree in words: {', '.join(sorted(odd)[:20])}.")
    return Samples(rows, steps, features, notes)


def _folds(content: Any, path: Path) -> dict[str, str]:
    """{id: part}, in the order of the folds."""
    out: dict[str, str] = {}
    for part, fold in NAMES.items():
        if not isinstance(content, dict) or not _is_list(content.get(fold)):
            raise DatasetCorrupt(
                f"{path} has no list {fold!r}; expected is a dictionary with lists of ids: "
                f"{', '.join(NAMES.values())}."
            )
        for key in map(str, content[fold]):
            if key in out:
                raise DatasetCorrupt(
                    f"{path}: id {key} is in {NAMES[out[key]]} and again in {fold}. Fetch it again."
                )
            out[key] = part
    return out


def _labels(content: Any, path: Path, ids: Iterable[str]) -> dict[str, int]:
    """{id: 0 or 1}."""
    out: dict[str, int] = {}
    for key, label in _entries(content, path, ids).items():
        values = np.ravel(label)
        if len(values) != 1 or values[0] not in (0, 1):
            raise DatasetCorrupt(f"{path}: id {key} has the label {label!r}; expected is 0 or 1.")
        out[key] = int(values[0])
    return out


def _words(
    content: Any, path: Path, ids: Iterable[str], context: int, count: int
) -> dict[str, Sentences]:
    """{id: places of the words of its sentences in the list of vectors}."""
    out: dict[str, Sentences] = {}
    for key, entry in _entries(content, path, ids).items():
        where = f"{path}: id {key}"
        out[key] = []
        for sentence in _sentences(entry, "embedding_indexes", context, where):
            try:
                x = np.asarray(sentence, np.float64).reshape(len(sentence))
            except (TypeError, ValueError) as error:
                raise DatasetCorrupt(f"{where} has indexes that are no list of numbers.") from error
            for wrong in x[~((x >= 0) & (x < count) & (x == np.floor(x)))]:
                raise DatasetCorrupt(
                    f"{where} has a word with index {wrong:g}; {path.with_name(VECTORS)} has the "
                    f"rows 0 to {count - 1}. {AGAIN}."
                )
            out[key].append(x.astype(np.int64))
    return out


def _features(
    content: Any,
    path: Path,
    words: Mapping[str, Sentences],
    context: int,
    size: int,
    odd: set[str],
) -> dict[str, np.ndarray]:
    """{id: features (T, size) of the words of all its sentences}, finite and in half precision.

    Ids whose number of words differs from that of `words` are added to `odd`, up to one in a
    hundred of all ids; more are an error.
    """
    out = {}
    for key, entry in _entries(content, path, words).items():
        where = f"{path}: id {key}"
        found = [_numbers(x, size, where) for x in _sentences(entry, "features", context, where)]
        lengths, said = [len(x) for x in found], [len(x) for x in words[key]]
        if lengths != said:
            odd.add(key)
            if len(odd) <= len(words) // TOLERATED:
                continue
            raise DatasetCorrupt(
                f"{where} has features of {_listed(lengths)} words, but {path.with_name(WORDS)} "
                f"has {_listed(said)}. {AGAIN}, or take the id out of {FOLDS}."
            )
        whole = np.concatenate(found)
        out[key] = sequence(whole, len(whole))
    return out


def _entries(content: Any, path: Path, ids: Iterable[str]) -> dict[str, Any]:
    """{id: its entry}, of the ids in the folds alone."""
    if not isinstance(content, dict):
        raise DatasetCorrupt(f"{path} holds {type(content).__name__}; expected is {{id: ...}}.")
    there = {str(key): entry for key, entry in content.items()}
    for key in ids:
        if key not in there:
            raise DatasetCorrupt(f"{path} has nothing for id {key}, which is in {FOLDS}. {AGAIN}.")
    return {key: there[key] for key in ids}


def _sentences(entry: Any, kind: str, context: int, where: str) -> list[Any]:
    """The last `context` sentences of the context, and the punchline."""
    out: list[Any] = []
    for name in ("context", "punchline") if context else ("punchline",):
        key = f"{name}_{kind}"
        if not isinstance(entry, dict) or not _is_list(entry.get(key)):
            raise DatasetCorrupt(f"{where} has no list {key!r}. {AGAIN}.")
        out += list(entry[key])[-context:] if name == "context" else [entry[key]]
    return out


def _numbers(values: Any, size: int, where: str) -> np.ndarray:
    """Rows (n, size)."""
    try:
        x = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise DatasetCorrupt(f"{where} has rows that are no {size} numbers ({error}).") from error
    if not x.size:
        return np.zeros((0, size), np.float32)
    if x.ndim != 2 or x.shape[1] != size:
        raise DatasetCorrupt(f"{where} has rows of shape {x.shape}; expected are (n, {size}).")
    return x


def _is_list(x: Any) -> bool:
    """Whether a pickle has a sequence here."""
    return isinstance(x, list | tuple | np.ndarray)


def _listed(lengths: Sequence[int]) -> str:
    """Numbers of words of sentences, the punchline last."""
    return " + ".join(map(str, lengths))
