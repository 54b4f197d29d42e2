"""`History`: the measurements of a run as tidy rows, in memory and in a CSV file that survives a
crash.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Record(NamedTuple):
    """One measurement of a run; `step` counts optimizer steps, `epoch` finished epochs (0: before
    training).
    """

    epoch: int
    step: int
    split: str
    modality: str
    metric: str
    value: float


class History:
    """All measurements of a run, in order.

    Args:
        path: of the CSV file; None keeps the measurements in memory only.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.records: list[Record] = []

    def extend(self, records: Iterable[Record]) -> None:
        """Add measurements, and append them to the file, flushed to disk."""
        new = list(records)
        self.records += new
        if self.path is not None:
            fresh = not self.path.exists()
            with self.path.open("a", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                if fresh:
                    writer.writerow(Record._fields)
                # `repr` keeps every digit.
                writer.writerows((*r[:-1], repr(float(r.value))) for r in new)
                file.flush()
                # On disk before the next epoch starts.
                os.fsync(file.fileno())

    def keep_until(self, epoch: int) -> None:
        """Remove the measurements after `epoch`, in memory and in the file, before the epoch that
        was interrupted is trained again.
        """
        if self.path is not None and self.path.exists():
            self.records = read_records(self.path)
        self.records = [r for r in self.records if r.epoch <= epoch]
        if self.path is not None:
            # Written under another name and renamed, so that an interruption loses nothing.
            records, self.records = self.records, []
            target, self.path = self.path, self.path.with_suffix(".tmp")
            self.path.unlink(missing_ok=True)
            self.extend(records)
            if records:
                os.replace(self.path, target)
            else:
                self.path.unlink(missing_ok=True)
                target.unlink(missing_ok=True)
            self.path = target

    def last(self, metric: str, *, modality: str = "fused", split: str = "test") -> float:
        """The newest value of a metric; NaN where there is none."""
        for r in reversed(self.records):
            if (r.metric, r.modality, r.split) == (metric, modality, split):
                return r.value
        return float("nan")

    def frame(self) -> pd.DataFrame:
        """Columns epoch, step, split, modality, metric, value."""
        import pandas as pd

        return pd.DataFrame(self.records, columns=list(Record._fields))


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """The rows of a metrics file; an incomplete last line is left out."""
    out = []
    text = Path(path).read_text()
    whole = text[: text.rfind("\n") + 1]  # "0.97" cut to "0.9" would still be a number
    for epoch, step, split, modality, metric, value in list(csv.reader(whole.splitlines()))[1:]:
        out.append(Record(int(epoch), int(step), split, modality, metric, float(value)))
    return out
