"""`History`: the measurements of a run as tidy rows, in memory and in a CSV file that survives a
crash.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msam_lib._utils import boards
from msam_lib._utils.files import cannot_write, write_text
from msam_lib.errors import run_damaged

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
        """Add measurements, and append them to the file, flushed to disk.

        Raises:
            CannotWrite: the file cannot be written; nothing is added.
        """
        new = list(records)
        if self.path is not None:
            _append(self.path, _lines(new, head=False).encode())
        self.records += new

    def keep_until(self, epoch: int, expected: str | None = None) -> None:
        """Remove the measurements after `epoch`, in memory and in the file, before the epoch that
        was interrupted is trained again.

        Args:
            epoch: the last one that is kept.
            expected: what `text` returned at the end of that epoch; None checks nothing.

        Raises:
            RunDamaged: the measurements are others than they were then; the file is left as it is.
        """
        if self.path is not None and self.path.exists():
            self.records = read_records(self.path)
        kept = [r for r in self.records if r.epoch <= epoch]
        text = _lines(kept)
        if expected is not None and text != expected:
            rows = expected.count("\n") - 1
            why = f"it has {len(kept)} rows up to epoch {epoch}, and {rows} were written"
            if rows == len(kept):
                why = f"its rows up to epoch {epoch} have other values than were written"
            raise run_damaged(self.path or Path("metrics.csv"), why)
        self.records = kept
        if self.path is not None:
            # Written under another name and renamed, so that an interruption loses nothing.
            if kept:
                write_text(self.path, text)
            else:
                self.path.unlink(missing_ok=True)

    def text(self) -> str:
        """The content of the CSV file."""
        return _lines(self.records)

    def last(self, metric: str, *, modality: str = "fused", split: str = "test") -> float:
        """The newest value of a metric; NaN where there is none."""
        for r in reversed(self.records):
            if (r.metric, r.modality, r.split) == (metric, modality, split):
                return r.value
        return float("nan")

    def __repr__(self) -> str:
        epochs = max((r.epoch for r in self.records), default=0)
        return f"History({len(self.records)} measurements, {epochs} epochs)"

    def _repr_html_(self) -> str:
        """Curves of the headline metric on the test split, and its last values, for a notebook."""
        metrics = {r.metric for r in self.records if r.split == "test"}
        metric = next((m for m in ("accuracy", "auprc", "mae") if m in metrics), None)
        if metric is None:
            return f"<p>{self!r}</p>"
        lines: dict[str, list[float]] = {}
        for r in self.records:
            if (r.split, r.metric) == ("test", metric):
                lines.setdefault(r.modality, []).append(r.value)
        # The whole model first; a modality's value is measured while the others are absent.
        lines = {m: lines[m] for m in sorted(lines, key=lambda m: (m != "fused", m))}
        words = f"{metric} on the test split over {len(next(iter(lines.values())))} measurements"
        rows = [(m, f"{line[-1]:.3f}") for m, line in lines.items()]
        return boards.curves(words, lines) + boards.table(f"{self!r}: {metric} at the end", rows)

    def frame(self) -> pd.DataFrame:
        """Columns epoch, step, split, modality, metric, value."""
        import pandas as pd

        return pd.DataFrame(self.records, columns=list(Record._fields))


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """The rows of a metrics file; an incomplete last line is left out.

    Raises:
        RunDamaged: the file cannot be read, or has a line of another form.
    """
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise run_damaged(Path(path), error) from error
    return parse_records(Path(path), text[: text.rfind("\n") + 1])


def parse_records(path: Path, text: str) -> list[Record]:
    """The rows of the whole lines of a metrics file.

    Args:
        path: of the file, for the error.
        text: its content without an incomplete last line: "0.97" cut to "0.9" would be a number.

    Raises:
        RunDamaged: a line of another form.
    """
    out = []
    try:
        for epoch, step, split, modality, metric, value in list(csv.reader(text.splitlines()))[1:]:
            out.append(Record(int(epoch), int(step), split, modality, metric, float(value)))
    except (ValueError, csv.Error) as error:
        raise run_damaged(path, f"row {len(out) + 1} cannot be read ({error})") from error
    return out


def _lines(records: Iterable[Record], *, head: bool = True) -> str:
    """The rows as lines of a CSV file, after the line of names if `head`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if head:
        writer.writerow(Record._fields)
    # `repr` keeps every digit.
    writer.writerows((*r[:-1], repr(float(r.value))) for r in records)
    return text.getvalue()


def _append(path: Path, lines: bytes) -> None:
    """Append lines to a metrics file, which is begun where there is none; on disk when this ends.
    A failure takes back what was written of them.
    """
    try:
        # Without a buffer, which would be written again when the file is closed after a failure.
        with path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            left = memoryview(lines if size else _lines([]).encode() + lines)
            try:
                while left:
                    left = left[file.write(left) :]
                # On disk before the next epoch starts.
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise
    except OSError as error:
        raise cannot_write(path, error) from error
