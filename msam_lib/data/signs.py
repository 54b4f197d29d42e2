"""`signs`: digits seen, heard and signed. AV-MNIST's images and noisy speech, and photographs of
hand signs.

The hand signs (2,062 photographs of about 218 people, 10 digits) are grey, 32x32, and reduced to
their first principal components (fitted on the training split), so that no modality is too easy.
They are paired with AV-MNIST's samples within a class. Of every digit the last 40 photographs, in
the order of their file names, are in the test split and the 20 before them in the validation split.
The photographs of one person have consecutive numbers, so nobody is in both training and test. Two
people are on both sides of another border: one validation photograph (of a 9) shows a person of the
training split, and one test photograph (of a 9) a person of the validation split.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Range
from msam_lib._utils.progress import progress_bar
from msam_lib._utils.settings import Decibels, Names, Seed
from msam_lib.data import avmnist
from msam_lib.data._download import Source, cached, read_members
from msam_lib.data.containers import DataSplits, Modality, MultimodalDataset, choose_modalities
from msam_lib.errors import DatasetCorrupt

SIDE, TEST, VAL = 32, 40, 20  # pixels; photographs per digit in the test and validation splits
SOURCE = Source(
    "sign_digits/Sign-Language-Digits-Dataset.zip",
    "da0d5ee914424615c4c5a9b65ff281ecf6886736d036e42978992053fd629da1",
    "https://github.com/ardamavi/Sign-Language-Digits-Dataset/archive/"
    "4b09433ef9d5c60602e8805bb54b8aa2428527f8.tar.gz",
    url_sha256="67203f967373e9b0a3e06e83c2452f9cb70ea451d9ff540c989f986d1b2850c9",
    members=r"(^|/)(?P<name>\d/[^/]+\.JPG|LICENSE|README\.md)$",
    members_sha256="65d3cd88dadb620b93f0a2a95191a731c97d653503d83196109f9fa6b629288e",
)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    components: Annotated[int, Range(0, 500)] = 8,
    snr_db: Decibels = -12.0,
    n_train: Annotated[int, Range(1, 55_000)] = 20_000,
    n_val: Annotated[int, Range(1, 5_000)] = 2_000,
    n_test: Annotated[int, Range(1, 10_000)] = 4_000,
) -> DataSplits:
    """Tri-modal digits: audio (1, 40, 49), visual (1, 28, 28), sign (1, 32, 32), ten classes.

    Args:
        seed: draws pairs, noise and subsets.
        modalities: from "audio", "visual" and "sign", all by default.
        components: principal components kept of the signs, at most 500; 0 keeps the photographs.
        snr_db, n_train, n_val, n_test: as for `avmnist`.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: see `msam_lib.data._download`.
    """
    names = choose_modalities(modalities, ["audio", "visual", "sign"])
    check_arguments(load, locals())
    pairs = avmnist.load(seed=seed, snr_db=snr_db, n_train=n_train, n_val=n_val, n_test=n_test)
    counts = {"n_train": n_train, "n_val": n_val, "n_test": n_test}
    pools = _reduced(_cached(), components)
    rng = np.random.default_rng([seed, 7])
    parts = {}
    for part in ("train", "val", "test"):
        base: MultimodalDataset = getattr(pairs, part)
        images, digits = pools[part]
        # For every pair a photograph of its digit, drawn with replacement.
        chosen = np.zeros(len(base), dtype=np.int64)
        for d in range(10):
            rows = np.flatnonzero(base.targets.numpy() == d)
            chosen[rows] = rng.choice(np.flatnonzero(digits == d), len(rows))
        every = dict(base.inputs) | {"sign": images[torch.from_numpy(chosen)]}
        parts[part] = MultimodalDataset({m: every[m] for m in names}, base.targets)
    kinds = dict(pairs.modalities) | {"sign": Modality("image", (1, SIDE, SIDE))}
    return DataSplits(
        name="signs",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: kinds[m] for m in names},
        classes=pairs.classes,
        provenance=(
            f"{pairs.provenance} Hand signs: Sign Language Digits Dataset (real; Arda Mavi and "
            "Zeynep Dikle, Apache-2.0), "
            + (f"{components} principal components." if components else "grey, 32x32.")
        ),
        recipe={**counts, "seed": seed, "snr_db": snr_db, "components": components}
        | {"modalities": names},
    )


def _cached() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The photographs, decoded once; the file's name depends on all that determines them."""
    name = f"signs-{SIDE}-{TEST}-{VAL}-{SOURCE.members_sha256[:16]}.npz"
    return cached(name, _photographs, read=_read, write=_write)


def _read(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The photographs in a file of the cache."""
    with np.load(path, allow_pickle=False) as f:
        return {p: (f[f"{p}_images"], f[f"{p}_digits"]) for p in ("train", "val", "test")}


def _write(photographs: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Write the photographs to a file of the cache."""
    arrays: dict[str, Any] = {f"{p}_images": x for p, (x, _) in photographs.items()}
    arrays |= {f"{p}_digits": y for p, (_, y) in photographs.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _photographs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{split: (images (N, 32, 32) in [0, 1], digits (N,))}."""
    from PIL import Image, UnidentifiedImageError

    folders: dict[int, list[tuple[str, bytes]]] = {d: [] for d in range(10)}
    for name, content in read_members(SOURCE).items():
        if name.upper().endswith(".JPG"):
            folders[int(name.split("/")[-2])].append((name, content))
    out: dict[str, tuple[list[np.ndarray], list[int]]] = {
        p: ([], []) for p in ("train", "val", "test")
    }
    total = sum(map(len, folders.values()))
    with progress_bar(total=total, desc="hand signs") as bar:
        for digit, files in folders.items():
            for k, (name, content) in enumerate(sorted(files)):
                # By file name: the last TEST test, the VAL before them validate, the others train.
                left = len(files) - k
                part = "test" if left <= TEST else "val" if left <= TEST + VAL else "train"
                try:
                    image = Image.open(io.BytesIO(content)).convert("L").resize((SIDE, SIDE))
                except (UnidentifiedImageError, OSError) as error:
                    raise DatasetCorrupt(
                        f"{name} is not a photograph: {error}. Fetch the archive again."
                    ) from error
                out[part][0].append(np.asarray(image, dtype=np.float32) / 255)
                out[part][1].append(digit)
                bar.update()
    return {p: (np.stack(x), np.array(y)) for p, (x, y) in out.items()}


def _reduced(
    photographs: dict[str, tuple[np.ndarray, np.ndarray]], components: int
) -> dict[str, tuple[Tensor, np.ndarray]]:
    """{split: (images (N, 1, 32, 32), digits (N,))}, projected on the training split's principal
    components unless `components` is 0.
    """
    flat = {p: x.reshape(len(x), -1) for p, (x, _) in photographs.items()}
    mean = flat["train"].mean(0)
    if components:
        basis = np.linalg.svd(flat["train"] - mean, full_matrices=False)[2][:components]
        flat = {p: (x - mean) @ basis.T @ basis + mean for p, x in flat.items()}
    return {
        p: (torch.from_numpy(x.astype(np.float32)).view(-1, 1, SIDE, SIDE), photographs[p][1])
        for p, x in flat.items()
    }
