"""`Landscape`: a line or plane of losses, for storing and drawing. Imports no torch."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from msam_lib._utils.files import write_bytes
from msam_lib.errors import DatasetCorrupt, MsamError
from msam_lib.labels import display_names


@dataclass(frozen=True, eq=False)
class Landscape:
    """Loss and accuracy along a line (one axis) or over a plane (two axes) of the weights.

    Args:
        x: (I,) coordinates along the first direction; 0 is the model itself.
        y: (J,) along the second; None for a line.
        loss: (I, J), `loss[i, j]` at (x[i], y[j]), in nats; (I,) for a line.
        accuracy: the same shape, in [0, 1]; None where the caller gave another loss.
        meta: how it was measured: kind, block, seed, mode, samples, ...
        path: (T, 2) coordinates of a training trajectory, where there is one.

    Raises:
        MsamError: the shape of the losses does not fit the axes.

    >>> x, loss = np.array([-1.0, 0, 1]), np.array([1.0, 0, 1])
    >>> bowl = Landscape(x, None, loss, None, {"kind": "line"})
    >>> bowl.at_origin, bowl.rise()
    (0.0, 1.0)
    """

    x: np.ndarray
    y: np.ndarray | None
    loss: np.ndarray
    accuracy: np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    path: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.x),) if self.y is None else (len(self.x), len(self.y))
        if self.loss.shape != shape:
            raise MsamError(f"loss has shape {self.loss.shape}; the axes need {shape}.")

    @property
    def at_origin(self) -> float:
        """The loss at the point nearest to the model itself."""
        i = int(np.abs(self.x).argmin())
        return float(self.loss[i] if self.y is None else self.loss[i, int(np.abs(self.y).argmin())])

    def rise(self, radius: float | None = None) -> float:
        """Mean loss (nats) over the points within `radius` of the origin, without the origin, minus
        the loss there; over all points by default.
        """
        r = np.abs(self.x) if self.y is None else np.hypot(self.x[:, None], self.y[None, :])
        inside = r > 0 if radius is None else (r > 0) & (r <= radius)
        return float(np.mean(self.loss[inside])) - self.at_origin

    def rows(self) -> list[dict[str, Any]]:
        """Tidy rows {x, y, metric, value}: the loss and, if measured, the accuracy at every point;
        y is 0 on a line.
        """
        y = np.zeros(1) if self.y is None else self.y
        grids = {"loss": self.loss, "accuracy": self.accuracy}
        return [
            {"x": self.x[i], "y": y[j], "metric": metric, "value": grid.reshape(-1, len(y))[i, j]}
            for i, j in np.ndindex(len(self.x), len(y))
            for metric, grid in grids.items()
            if grid is not None
        ]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a `.npz` (atomically) and return its path."""
        target = Path(path)
        if target.suffix != ".npz":
            target = target.with_name(target.name + ".npz")
        arrays: dict[str, Any] = {
            "x": self.x,
            "loss": self.loss,
            "meta": np.array(json.dumps(self.meta, sort_keys=True)),
        }
        optional = {"y": self.y, "accuracy": self.accuracy, "path": self.path}
        arrays |= {k: v for k, v in optional.items() if v is not None}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return write_bytes(target, buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Landscape:
        """The landscape that `save` wrote.

        Raises:
            MsamError: there is no such file.
            DatasetCorrupt: the file was not written by `save`, or is truncated.
        """
        try:
            with np.load(path, allow_pickle=False) as f:
                arrays = {k: f[k] for k in f.files}
            meta = json.loads(str(arrays.pop("meta")))
            return cls(
                arrays["x"],
                arrays.get("y"),
                arrays["loss"],
                arrays.get("accuracy"),
                meta,
                arrays.get("path"),
            )
        except FileNotFoundError:
            raise MsamError(
                f"{path} is not there. `python -m msam_lib diagnose RUN` makes landscapes."
            ) from None
        # The shape check of the constructor has said what is wrong.
        except MsamError:
            raise
        except Exception as error:
            raise DatasetCorrupt(f"{path} is not a landscape ({error}). Make it again.") from error


def landscapes(frame: pd.DataFrame) -> Mapping[str, Landscape]:
    """{name of the method: Landscape} from frozen rows, ready for `plots.landscape.surfaces`."""
    by_label = {}
    for label, rows in frame.groupby("label", sort=False):
        # Pivoted rows are grids (I, J) with sorted coordinates.
        grids = {
            m: part.pivot_table(index="x", columns="y", values="value")
            for m, part in rows.groupby("metric")
        }
        loss = grids["loss"]
        by_label[str(label)] = Landscape(
            loss.index.to_numpy(),
            loss.columns.to_numpy(),
            loss.to_numpy(),
            grids["accuracy"].to_numpy() if "accuracy" in grids else None,
            {"kind": "plane", "block": "all", "other": "all"},
        )
    return {name: by_label[label] for label, name in display_names(by_label).items()}


def surfaces_by_block(frame: pd.DataFrame) -> dict[str, dict[str, Landscape]]:
    """{name of the method: {block: Landscape}} from the rows that `measure_surfaces` freezes, in
    their order.
    """
    loss = frame[frame["metric"] == "loss"]
    names = display_names(loss["label"].unique())
    return {
        names[str(label)]: {
            str(block): next(iter(landscapes(part).values()))
            for block, part in rows.groupby("block", sort=False)
        }
        for label, rows in loss.groupby("label", sort=False)
    }


def rises(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """{block: how far the loss rises around the minimum} in nats, a row per seed, a column per
    method, from the rows that `measure_surfaces` freezes.
    """
    rows = frame[frame["metric"] == "rise"]
    rows = rows.assign(name=rows["label"].map(display_names(rows["label"].unique())))
    return {
        str(block): part.pivot_table(index="seed", columns="name", values="value", sort=False)
        for block, part in rows.groupby("block", sort=False)
    }
