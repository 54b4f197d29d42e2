"""The ledger: what the papers claim, how it is tested here, and what came out."""

from __future__ import annotations

import csv as csv_module
import html as html_module
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.errors import unknown_name
from msam_lib.figures.settings import FRAMES, WITH_WRONG
from msam_lib.figures.tables import since
from msam_lib.results.claims import HOLDS, Effect, clear, verdict

Frames = Mapping[str, pd.DataFrame]
ENCODERS, OWN = f"encoders_{DEFAULT_DATASET}", f"methods_{DEFAULT_DATASET}"
SOURCES = ("methods", "search", "ablation_digits", "sharpness", ENCODERS, "costs", *FRAMES,
           *WITH_WRONG[1:])  # fmt: skip


class Claim(NamedTuple):
    """A claim.

    Args:
        words: of the claim; in quotation marks where they are the paper's own.
        source: where it is printed.
        how: how it is tested here.
        test: the effects that it predicts to be positive, from frozen results; None where nothing
            here can test it.
        shown: the figure or table that shows it.
        notebook: that discusses it.
        note: what the verdict leaves out; "" for nothing.
        most: the best verdict that this test can support; `note` says why.
    """

    words: str
    source: str
    how: str
    test: Callable[[Frames], Sequence[Effect]] | None
    shown: str
    notebook: str
    note: str = ""
    most: str = HOLDS


class Entry(NamedTuple):
    """A line of the ledger: a claim, its effects, its verdict, and the effects in comparisons on
    an older search, which do not count.
    """

    claim: Claim
    effects: Sequence[Effect]
    verdict: str
    older: Sequence[Effect] = ()


@dataclass(frozen=True)
class Ledger:
    """The finished ledger; `to("md" | "csv" | "html")` gives its text.

    Args:
        caption: how to read it.
        entries: its lines.
    """

    caption: str
    entries: tuple[Entry, ...]

    def to(self, format: str) -> str:
        """The ledger as text.

        Raises:
            MsamError: unknown format.
        """
        writers = {"md": _md, "csv": _csv, "html": _html}
        if format not in writers:
            raise unknown_name("format", format, writers)
        return writers[format](self)

    def _repr_html_(self) -> str:
        return self.to("html")

    @property
    def alt(self) -> str:
        """How many claims came out how."""
        counts = pd.Series([e.verdict for e in self.entries]).value_counts()
        said = ", ".join(f"{n} {v}" for v, n in counts.items())
        return f"{len(self.entries)} claims of the papers: {said}."


class _Reading(dict[str, pd.DataFrame]):
    """Frozen results that note which of them were read."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> pd.DataFrame:
        self.names.add(name)
        return super().__getitem__(name)


def ledger(claims: Sequence[Claim], frames: Frames, older: Frames | None = None) -> Ledger:
    """Test every claim on frozen results.

    Args:
        claims: in the order of the lines.
        frames: {name: frozen results}.
        older: the same with comparisons that are shown but do not count.
    """
    entries = []
    for claim in claims:
        reading = _Reading(frames)
        effects = list(claim.test(reading)) if claim.test else []
        known = {e.what for e in effects}
        # a claim that reads no comparisons has the same effects without them
        compared = older if "methods" in reading.names else None
        before = claim.test(compared) if claim.test and compared else []
        uncounted = [e for e in before if e.what not in known]
        found = verdict(effects)
        found = claim.most if found == HOLDS else found
        entries.append(Entry(claim, effects, found, uncounted))
    caption = (
        "Every claim predicts some differences, or other numbers, to be positive. Holds: the 95 % "
        "Student-t interval over seeds of every one of them lies above 0; of a difference between "
        "two methods' accuracies it includes the luck of both searches. Holds in part: some are "
        "clearly above 0 (5 %, Holm's correction for their number), or the test can show no more. "
        "Does not hold: none is. Comparisons that stand on an older search, with one seed, do not "
        "count; the list of all numbers has them, marked. " + " ".join(since(frames["methods"]))
    )
    return Ledger(caption.strip(), tuple(entries))


def _cells(entry: Entry) -> tuple[str, ...]:
    """The texts of a line."""
    claim = entry.claim
    return claim.words, claim.source, claim.how, _result(entry), entry.verdict


def _result(entry: Entry) -> str:
    """The effects in short: how many are clear, and their range; all of them where they are few."""
    several = entry.effects
    if len(several) <= FEW:
        said = "; ".join(map(str, several)) or "—"
    else:
        up, down = clear(several)
        means = [e.mean for e in several]
        said = (
            f"{len(several)} differences from {min(means):+.1f} to {max(means):+.1f} points: {up} "
            f"clearly above 0, {down} clearly below"
        )
    return f"{said}. {entry.claim.note}".strip() if entry.claim.note else said


FEW = 3  # effects up to this many are listed in the table itself
HEAD = ("claim", "printed in", "tested here by", "result", "verdict")


def _md(ledger: Ledger) -> str:
    lines = [f"| {' | '.join((*HEAD, 'see'))} |", "|" + " --- |" * (len(HEAD) + 1)]
    for entry in ledger.entries:
        *texts, verdict_ = _cells(entry)
        shown, notebook = entry.claim.shown, entry.claim.notebook
        links = [f"[{shown}]({shown}.{_ending(shown)})"] if shown else []
        links += [f"[notebook {notebook[:2]}](../notebooks/{notebook}.ipynb)"] if notebook else []
        cells = [*texts, f"**{verdict_}**", ", ".join(links)]
        lines.append(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in cells)} |")
    details = ["## All numbers", "", "Mean ± half-width of the interval.", ""]
    for entry in ledger.entries:
        if len(entry.effects) > FEW or entry.older:
            details += [f"**{entry.claim.words}**", "", *(f"- {e}" for e in entry.effects)]
            details += [*(f"- *older search:* {e}" for e in entry.older), ""]
    return "\n".join([ledger.caption, "", *lines, "", *details])


def _ending(shown: str) -> str:
    """The file name ending of a table or a picture."""
    return "md" if shown.startswith("table_") else "png"


def _csv(ledger: Ledger) -> str:
    buffer = io.StringIO()
    writer = csv_module.writer(buffer, lineterminator="\n")
    writer.writerow([*HEAD, "figure", "notebook"])
    for entry in ledger.entries:
        writer.writerow([*_cells(entry), entry.claim.shown, entry.claim.notebook])
    return buffer.getvalue()


def _html(ledger: Ledger) -> str:
    escape = html_module.escape
    head = "".join(f'<th scope="col">{h}</th>' for h in HEAD)
    lines = ['<table class="results">', f"<caption>{escape(ledger.caption)}</caption>"]
    lines += [f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for entry in ledger.entries:
        words, *texts, said = map(escape, _cells(entry))
        cells = "".join(f"<td>{t}</td>" for t in texts)
        lines.append(
            f'<tr><th scope="row">{words}</th>{cells}<td><strong>{said}</strong></td></tr>'
        )
    return "\n".join([*lines, "</tbody>", "</table>", ""])
