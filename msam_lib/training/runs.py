"""Run directories: the files of a training, from which it can be resumed, listed and read.

    runs/<dataset>-<fusion>-<method>-s<seed>-<hash>/
        config.json  environment.json  metrics.csv  checkpoint.pt  checkpoint.previous.pt
        model.pt  DONE

Every file is written under a temporary name and renamed, so an interruption leaves the old one or
the new one. One process at a time trains a run: it holds the lock of the directory, which the
operating system frees when the process ends, however it ends. What is read is verified first; where
it is damaged, `python -m msam_lib repair RUN` returns to the last whole epoch.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
import zlib
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from msam_lib._utils import boards
from msam_lib._utils.files import locked, make_folder, write_atomically, write_text
from msam_lib.errors import MsamError, RunBusy, run_damaged
from msam_lib.training.history import History, parse_records

if TYPE_CHECKING:
    import pandas as pd


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

        Raises:
            CannotWrite: the directory cannot be made or written.
            RunDamaged: `config.json` is that of another run, or cannot be read.
        """
        run = cls(make_folder(path))
        for name, content in [("config.json", config), ("environment.json", environment)]:
            if not (path / name).exists():
                write_text(path / name, json.dumps(content, indent=1) + "\n")
        # Settings that an older version did not know are missing in its file.
        wanted = json.loads(json.dumps(config))
        other = [k for k, v in run.config.items() if k != "device" and wanted.get(k, v) != v]
        if other:
            raise run_damaged(path / "config.json", f"another {', '.join(other)} than this run has")
        return run

    def __repr__(self) -> str:
        return f"Run({self.path.name!r}, {self.state})"

    def _repr_html_(self) -> str:
        """What was run and what came out, for a notebook."""
        try:
            config, curves = self.config, self._measured()._repr_html_()
        except MsamError:  # only begun, or damaged
            config, curves = {}, ""
        names = ("dataset", "fusion", "method", "method_options", "seed", "epochs", "lr")
        rows = [(k, config[k]) for k in names if k in config]
        return boards.table(repr(self), rows) + curves

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
    def busy(self) -> bool:
        """Whether another process or thread is training it."""
        try:
            with self.lock():
                return False
        except RunBusy:
            return True

    @property
    def config(self) -> dict[str, Any]:
        """The configuration: the fields of its `Experiment`."""
        return self.read_json("config.json")

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, device, threads and commit when the run began."""
        return self.read_json("environment.json")

    def read_json(self, name: str) -> dict[str, Any]:
        """The dictionary in a JSON file of the run.

        Raises:
            MsamError: there is no such file.
            RunDamaged: it cannot be read, or holds something else.
        """
        try:
            content = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            raise MsamError(
                f"{self.path} has no {name}: it is not a run directory. "
                "`python -m msam_lib list runs` lists them."
            ) from None
        except (OSError, ValueError) as error:
            raise run_damaged(self.path / name, error) from error
        if not isinstance(content, dict):
            kind = type(content).__name__
            raise run_damaged(self.path / name, f"a {kind} where a dictionary is expected")
        return content

    def lock(self) -> AbstractContextManager[None]:
        """Hold the run for writing; nobody else can train it meanwhile.

        Raises:
            RunBusy: another process or thread holds it.
            CannotWrite: the directory cannot be written.
        """
        return locked(self.path, "The run")

    def history(self) -> History:
        """A history that appends to `metrics.csv`."""
        return History(self.path / "metrics.csv")

    def metrics(self) -> pd.DataFrame:
        """The measurements so far: columns epoch, step, split, modality, metric, value.

        Raises:
            RunDamaged: they are not those that the training wrote.
        """
        return self._measured().frame()

    def _measured(self) -> History:
        """The measurements so far, apart from the file."""
        history = History()
        path = self.path / "metrics.csv"
        if path.exists():
            history.records = parse_records(path, self.metrics_text())
        return history

    def metrics_text(self) -> str:
        """The content of `metrics.csv` without an incomplete last line; of a finished run, verified
        by the digest that `DONE` holds.

        Raises:
            RunDamaged: the file cannot be read, or its digest differs.
        """
        path, done = self.path / "metrics.csv", self.path / "DONE"
        try:
            # In this order, for a training that ends meanwhile.
            mark = done.read_text(encoding="utf-8") if done.exists() else ""
            content = path.read_bytes()
            # Runs of older versions have an empty mark.
            if mark and json.loads(mark)["sha256"] != hashlib.sha256(content).hexdigest():
                raise run_damaged(path, "its digest is not that of the finished run")
            text = content.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise run_damaged(path, error) from error
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise run_damaged(done, f"it holds no digest ({error})") from error
        return text[: text.rfind("\n") + 1]

    def save(self, name: str, content: dict[str, Any], previous: str = "") -> None:
        """Write tensors and plain values to the file `name`, atomically.

        Args:
            name: of the file.
            content: what to write.
            previous: the name under which the file's former content is kept; "" does not keep it.

        Raises:
            CannotWrite: the file cannot be written; its former content is there still, under one
                of the two names.
        """
        whole = io.BytesIO()
        torch.save(content, whole)
        path = self.path / name

        def save(temporary: Path) -> None:
            temporary.write_bytes(whole.getbuffer())
            if previous and path.exists():
                os.replace(path, self.path / previous)

        write_atomically(path, save)

    def load(self, name: str, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The content that `save` wrote, or None; verified by the checksums in the file (CRC-32 of
        every part), and only tensors and plain values are unpickled.

        Raises:
            RunDamaged: the file is incomplete, changed, or something else.
        """
        path = self.path / name
        if not path.exists():
            return None
        try:
            raw = path.read_bytes()
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                wrong = archive.testzip()
            if wrong is not None:
                raise zipfile.BadZipFile(f"wrong checksum of {wrong}")
            content = torch.load(io.BytesIO(raw), map_location=device, weights_only=True)
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise run_damaged(path, error) from error
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
            raise run_damaged(path, f"no tensors of a run ({str(error)[:80]})") from error
        if not isinstance(content, dict):
            raise run_damaged(path, f"it holds a {type(content).__name__}")
        return content

    def mark_done(self, history: History) -> None:
        """Mark the training as complete, with the digest by which its measurements are verified
        from now on; the checkpoint before the last is removed.
        """
        digest = hashlib.sha256(history.text().encode()).hexdigest()
        mark = {"rows": len(history.records), "sha256": digest}
        write_text(self.path / "DONE", json.dumps(mark) + "\n")
        with suppress(OSError):  # the model is there twice: in its file and the last checkpoint
            (self.path / "checkpoint.previous.pt").unlink(missing_ok=True)
