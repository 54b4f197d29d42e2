"""Reading, splitting and standardising, as shared by the data sets of ready-made features."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from msam_lib.data.containers import MultimodalDataset
from msam_lib.errors import DatasetCorrupt

PARTS = ("train", "val", "test")


def read_csv(content: bytes, name: str, *, header: bool = False) -> np.ndarray:
    """A CSV file of numbers as (N, D) float64.

    Args:
        content: of the file.
        name: of the file in errors.
        header: whether the first line holds names.

    Raises:
        DatasetCorrupt: it is empty, has words in it, or rows of different lengths.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(io.BytesIO(content), header=0 if header else None)
        table = frame.to_numpy(dtype=np.float64)
    except Exception as error:
        raise DatasetCorrupt(f"{name} is not a table of numbers ({error}).") from error
    if not np.isfinite(table).all():
        raise DatasetCorrupt(f"{name} has cells that are empty or not finite.")
    return table


def stratified(targets: np.ndarray, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """Sorted indices of parts with these shares of every class, drawn with `seed`; the last part
    takes the rest.

    Args:
        targets: (N,) classes.
        shares: of the parts, with the sum 1.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for c in np.unique(targets):
        members = rng.permutation(np.flatnonzero(targets == c))
        ends = np.round(np.cumsum(shares)[:-1] * len(members)).astype(int)
        for part, rows in zip(parts, np.split(members, ends), strict=True):
            part.append(rows)
    return [np.sort(np.concatenate(p)) for p in parts]


def standardised(parts: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Features (N, ...) of every part, standardised column by column with mean and standard
    deviation of the *training part* and cut at ±10; constant columns become 0.
    """
    train = parts["train"]
    mean, std = train.mean(0), train.std(0)
    std = np.where(std > 1e-8, std, np.inf)
    return {
        k: torch.tensor(np.clip((x - mean) / std, -10, 10), dtype=torch.float32)
        for k, x in parts.items()
    }


def datasets(
    features: Mapping[str, Mapping[str, np.ndarray]],
    targets: Mapping[str, np.ndarray],
    names: Sequence[str],
) -> dict[str, MultimodalDataset]:
    """{part: data set} from {modality: {part: features}} and {part: targets}."""
    ready = {m: standardised(features[m]) for m in names}
    y = {p: torch.tensor(t, dtype=torch.long) for p, t in targets.items()}
    return {p: MultimodalDataset({m: ready[m][p] for m in names}, y[p]) for p in PARTS}
