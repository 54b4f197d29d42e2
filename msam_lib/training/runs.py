"""Run directories: the files of a training, from which it can be resumed, listed and read.

    runs/<dataset>-<fusion>-<method>-s<seed>-<hash>/
        config.json  environment.json  metrics.csv  checkpoint.pt  model.pt  DONE

`checkpoint.pt` is written under a temporary name and renamed, so an interruption leaves the old one
or the new one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from msam_lib._utils.files import write_atomically, write_text
from msam_lib.errors import MsamError
from msam_lib.training.history import History, read_records

if TYPE_CHECKING:
    import pandas as pd


def default_store() -> Path:
    """The folder of runs: `$MSAM_RUNS`, or `runs` in the working directory."""
    return Path(os.environ.get("MSAM_RUNS", "runs"))


class Run:
    """One run directory.

    Args:
        path: the directory; `create` makes it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: Path, config: dict[str, Any], environment: dict[str, Any]) -> Run:
        """The run in this directory, which is made where it is missing; files that are there are
        not overwritten.

        Args:
            path: the directory.
            config: content of `config.json`.
            environment: content of `environment.json`.
        """
        run = cls(path)
        path.mkdir(parents=True, exist_ok=True)
        for name, content in [("config.json", config), ("environment.json", environment)]:
            if not (path / name).exists():
                write_text(path / name, json.dumps(content, indent=1) + "\n")
        return run

    def __repr__(self) -> str:
        return f"Run({self.path.name!r}, {self.state})"

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether the training is complete."""
        return (self.path / "DONE").exists()

    @property
    def state(self) -> str:
        """`finished`, `resumable` (there is a checkpoint) or `started`."""
        if self.finished:
            return "finished"
        return "resumable" if (self.path / "checkpoint.pt").exists() else "started"

    @property
    def config(self) -> dict[str, Any]:
        """The configuration: the fields of its `Experiment`."""
        return self._json("config.json")

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, device, threads and commit when the run began."""
        return self._json("environment.json")

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.path / name).read_text())
        except FileNotFoundError:
            raise MsamError(
                f"{self.path} has no {name}: it is not a run directory. "
                "`python -m msam_lib list runs` lists them."
            ) from None

    def history(self) -> History:
        """A history that appends to `metrics.csv`."""
        return History(self.path / "metrics.csv")

    def metrics(self) -> pd.DataFrame:
        """The measurements so far: columns epoch, step, split, modality, metric, value."""
        history = History()
        if (self.path / "metrics.csv").exists():
            history.records = read_records(self.path / "metrics.csv")
        return history.frame()

    def save(self, name: str, content: dict[str, Any]) -> None:
        """Write tensors and plain values to the file `name`, atomically."""
        write_atomically(self.path / name, lambda p: torch.save(content, p))

    def load(self, name: str, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The content that `save` wrote, or None; only tensors and plain values are unpickled."""
        path = self.path / name
        return torch.load(path, map_location=device, weights_only=True) if path.exists() else None

    def mark_done(self) -> None:
        """Mark the training as complete."""
        (self.path / "DONE").touch()


def list_runs(store: str | os.PathLike[str] | None = None) -> list[Run]:
    """All runs of a store, sorted by name.

    Args:
        store: folder of runs; by default `default_store()`.
    """
    store = default_store() if store is None else Path(store)
    return [Run(p.parent) for p in sorted(store.glob("*/config.json"))]
