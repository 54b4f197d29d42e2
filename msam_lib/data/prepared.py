"""Prepared data sets: official distributions decoded once into a folder of arrays.

A folder `prepared/NAME-HASH` of the cache holds one .npy file per modality, `samples.csv` (a row
per sample) and `manifest.json` (lengths, sha256 digests, the recipe with that hash). It appears
under its name when it is complete. Until then it is `NAME-HASH.partial`, and an interrupted
preparation resumes there. Memory does not depend on the number of samples.
"""

from __future__ import annotations

import csv
import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from msam_lib._utils.files import write_text
from msam_lib._utils.progress import progress_bar
from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.data._download import cache_folder, sha256_of
from msam_lib.data.stored import StoredArray, as_stored, opened_array
from msam_lib.data.transforms import AS_STORED, Transform
from msam_lib.errors import DatasetCorrupt, DatasetMissing

BLOCK = 64  # samples between two marks from which a preparation resumes
Row = dict[str, str]


@dataclass(frozen=True)
class Plan:
    """What a preparation writes.

    Args:
        name: of the data set.
        recipe: all options that determine the arrays; their hash names the folder.
        samples: a row per sample.
        arrays: {modality: (shape of a stored sample, type)}.
        read: `read(row) -> {modality: array}`, called in threads.
        notes: sentences on what was found in the source, kept in the manifest.
    """

    name: str
    recipe: Mapping[str, Any]
    samples: Sequence[Row]
    arrays: Mapping[str, tuple[tuple[int, ...], str]]
    read: Callable[[Row], Mapping[str, np.ndarray]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Prepared:
    """A complete folder.

    Args:
        folder: its path.
        manifest: its `manifest.json`.
        samples: its `samples.csv`.
    """

    folder: Path
    manifest: Mapping[str, Any]
    samples: Sequence[Row]

    @property
    def notes(self) -> Sequence[str]:
        """Sentences on what was found in the source."""
        return list(self.manifest.get("notes", ()))

    def array(self, modality: str, transform: Transform = AS_STORED) -> StoredArray:
        """The samples of one modality."""
        return StoredArray(self.folder / f"{modality}.npy", transform)


def folder_name(name: str, recipe: Mapping[str, Any]) -> str:
    """`NAME-HASH` of a recipe.

    >>> folder_name("cremad", {"frames": 1})
    'cremad-414ddcef9e2f'
    """
    text = json.dumps(recipe, sort_keys=True, default=list)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def open_prepared(
    name: str, recipe: Mapping[str, Any], prepare: Callable[..., Prepared], **options: Any
) -> Prepared:
    """The folder of a recipe, under `$MSAM_DATA` or in the cache; lengths of files are checked.

    Args:
        name: of the data set.
        recipe: its options.
        prepare, **options: what makes the folder; the error names options other than its defaults.

    Raises:
        DatasetMissing: it has not been prepared.
        DatasetCorrupt: a file is missing or has another length.
    """
    places = [cache_folder()]
    if "MSAM_DATA" in os.environ:
        places.insert(0, Path(os.environ["MSAM_DATA"]))
    folders = [place / "prepared" / folder_name(name, recipe) for place in places]
    for folder in folders:
        if (folder / "manifest.json").is_file():
            return _checked(folder, name)
    usual = inspect.signature(prepare).parameters
    changed = [f"{k}={v}" for k, v in options.items() if v != usual[k].default]
    further = " ".join([" --data-options", *changed]) if changed else ""
    raise DatasetMissing(
        f"{name} has not been prepared with these options: there is no "
        f"{' and no '.join(map(str, folders))}. Run: python -m msam_lib prepare {name} --source "
        f"FOLDER{further} (FOLDER: the official distribution), with MSAM_CACHE as it is now, or "
        f"continue without it: dataset={DEFAULT_DATASET!r}."
    )


def verify(prepared: Prepared) -> Prepared:
    """The same folder, after the digest of every file was compared.

    Raises:
        DatasetCorrupt: a file has another digest.
    """
    name = prepared.manifest["name"]
    for file, entry in prepared.manifest["files"].items():
        if sha256_of(prepared.folder / file) != entry["sha256"]:
            raise _damaged(prepared.folder, name, f"{file} has another sha256 than its manifest")
    return prepared


def prepare(plan: Plan, cache: Path | None = None, *, jobs: int = 1) -> Prepared:
    """The verified folder of a plan: written now, resumed, or already there.

    Args:
        plan: what is written.
        cache: holds the folder `prepared`; the cache folder by default.
        jobs: threads that decode.

    Raises:
        DatasetCorrupt: a source file is damaged; or the folder that is there is, or was made from
            other files.
    """
    root = (cache or cache_folder()) / "prepared"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / folder_name(plan.name, plan.recipe)
    with FileLock(f"{folder}.lock"):  # two preparations at once: the second waits
        digest = _digest(plan.samples)
        if folder.exists():
            there = verify(_checked(folder, plan.name))
            if there.manifest["samples_sha256"] != digest:
                raise DatasetCorrupt(
                    f"{folder} was prepared from other samples ({len(there.samples)}; now "
                    f"{len(plan.samples)}). Delete it, or keep both: --cache FOLDER."
                )
            return there
        partial = folder.with_name(folder.name + ".partial")
        _write_arrays(plan, partial, digest, jobs)
        _write_manifest(plan, partial, digest)
        os.replace(partial, folder)
    return verify(_checked(folder, plan.name))


def _write_arrays(plan: Plan, partial: Path, digest: str, jobs: int) -> None:
    """Append blocks to the arrays, from where the last interruption left them."""
    mark, done = partial / "progress.json", 0
    if mark.exists() and (state := json.loads(mark.read_text()))["samples_sha256"] == digest:
        done = state["done"]
    elif partial.exists():
        shutil.rmtree(partial)  # begun from other samples
    partial.mkdir(exist_ok=True)
    files = {m: opened_array(partial / f"{m}.npy", len(plan.samples), *a, done)
             for m, a in plan.arrays.items()}  # fmt: skip
    bar = progress_bar(total=len(plan.samples), initial=done, desc=f"prepare {plan.name}")
    try:
        with bar, ThreadPoolExecutor(max(1, jobs)) as pool:
            while done < len(plan.samples):
                block = plan.samples[done : done + BLOCK]
                for arrays in pool.map(plan.read, block):
                    for m, file in files.items():
                        file.write(as_stored(arrays[m], *plan.arrays[m]))
                    bar.update()
                for file in files.values():
                    file.flush()
                    os.fsync(file.fileno())
                # The mark comes after the data: what it counts is whole.
                done += len(block)
                write_text(mark, json.dumps({"samples_sha256": digest, "done": done}))
    finally:
        for file in files.values():
            file.close()


def _write_manifest(plan: Plan, partial: Path, digest: str) -> None:
    """`samples.csv`, and the manifest of all files."""
    with (partial / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(plan.samples[0]))
        writer.writeheader()
        writer.writerows(plan.samples)
    (partial / "progress.json").unlink(missing_ok=True)
    files = {
        p.name: {"bytes": p.stat().st_size, "sha256": sha256_of(p)}
        for p in sorted(partial.iterdir())
        if p.suffix in (".npy", ".csv")
    }
    manifest = {
        "name": plan.name,
        "recipe": dict(plan.recipe),
        "samples": len(plan.samples),
        "samples_sha256": digest,
        "files": files,
        "notes": list(plan.notes),
    }
    write_text(partial / "manifest.json", json.dumps(manifest, indent=1, default=list) + "\n")


def _checked(folder: Path, name: str) -> Prepared:
    """The folder, if all files have the lengths of its manifest."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        lengths = {f: entry["bytes"] for f, entry in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, name, f"its manifest cannot be read ({error})") from error
    for file, expected in lengths.items():
        found = (folder / file).stat().st_size if (folder / file).is_file() else 0
        if found != expected:
            raise _damaged(folder, name, f"{file} has {found} bytes instead of {expected}")
    with (folder / "samples.csv").open(newline="", encoding="utf-8") as handle:
        return Prepared(folder, manifest, list(csv.DictReader(handle)))


def _damaged(folder: Path, name: str, what: str) -> DatasetCorrupt:
    return DatasetCorrupt(
        f"{folder} is damaged: {what}. Delete that folder and prepare it again: python -m msam_lib "
        f"prepare {name} --source FOLDER"
    )


def _digest(samples: Sequence[Row]) -> str:
    """The digest of the samples' rows."""
    digest = hashlib.sha256()
    for row in samples:
        digest.update((json.dumps(row, sort_keys=True) + "\n").encode())
    return digest.hexdigest()
