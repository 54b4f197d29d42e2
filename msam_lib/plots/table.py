"""`Table`: a finished table, and its text as Markdown, LaTeX, CSV and HTML."""

from __future__ import annotations

import csv as csv_module
import html as html_module
import io
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from msam_lib.errors import unknown_name


class Cell(NamedTuple):
    """One value, in percent unless the table says otherwise.

    Args:
        mean: over seeds; NaN where missing.
        half: half-width of the 95 % interval; NaN where unknown.
        n: number of seeds.
        rank: 1 best, 2 second best, 0 neither.
        note: why the value is missing or weak.
        decimals: digits shown after the point.
    """

    mean: float = float("nan")
    half: float = float("nan")
    n: int = 0
    rank: int = 0
    note: str = ""
    decimals: int = 1

    @property
    def text(self) -> str:
        """`"87.1 ± 2.3"`, `"87.1"` for one seed, `"—"` where missing; never `"-0.0"`."""
        if not isfinite(self.mean):
            return "—"
        mean, half = (f"{x:z.{self.decimals}f}" for x in (self.mean, self.half))
        return f"{mean} ± {half}" if isfinite(self.half) else mean


class Row(NamedTuple):
    """One method.

    Args:
        name: of the method.
        cells: one per column.
        paper: the paper's number; "" for none.
        reference: set apart from the others and not ranked.
    """

    name: str
    cells: tuple[Cell, ...]
    paper: str = ""
    reference: bool = False


@dataclass(frozen=True)
class Table:
    """A finished table; `to("md" | "tex" | "csv" | "html")` gives its text.

    Args:
        caption: one or two sentences.
        columns: headings of the value columns.
        rows: top to bottom.
        paper: heading of the column of the paper's numbers; "" for none.
        notes: sentences below the table.
        quantity: what its values are, in the plural.
        groups: (heading, number of columns) of neighbouring columns, whose own headings begin with
            it; LaTeX and HTML then set it once above them. They cover all columns.
        first: heading of the column of the rows' names.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    paper: str = ""
    notes: tuple[str, ...] = ()
    quantity: str = "accuracies in percent"
    groups: tuple[tuple[str, int], ...] = ()
    first: str = "method"

    def to(self, format: str) -> str:
        """The table as text.

        Raises:
            MsamError: unknown format.
        """
        if format not in WRITERS:
            raise unknown_name("table format", format, WRITERS)
        return WRITERS[format](self)

    def _repr_html_(self) -> str:
        return self.to("html")

    def __str__(self) -> str:
        return self.to("md")

    @property
    def short(self) -> list[str]:
        """The headings of the columns without those of their groups."""
        above = [heading for heading, count in self.groups for _ in range(count)]
        if not above:
            return list(self.columns)
        return [c.removeprefix(g).strip() for c, g in zip(self.columns, above, strict=True)]

    @property
    def reasons(self) -> list[str]:
        """Why values are missing or weak, each once; numbered from 1 in the exports."""
        return list(dict.fromkeys(c.note for r in self.rows for c in r.cells if c.note))


TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "±": r"$\pm$", "—": "---",
       "ρ": r"$\rho$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
       "\\": r"\textbackslash{}", "^": r"\textasciicircum{}"}  # fmt: skip


def md(table: Table) -> str:
    """GitHub's Markdown, with caption above and notes below."""

    def cell(c: Cell) -> str:
        text = {1: f"**{c.text}**", 2: f"<u>{c.text}</u>"}.get(c.rank, c.text)
        return text + (f" [{_number(table, c)}]" if c.note else "")

    head = [table.first, *table.columns, *([table.paper] if table.paper else [])]
    lines = [_md_line(head), "|".join(["", " --- ", *[" ---: "] * (len(head) - 1), ""])]
    for row in table.rows:
        paper = [f"*{row.paper}*" if row.paper else "—"] if table.paper else []
        lines.append(_md_line([row.name, *map(cell, row.cells), *paper]))
    parts = [table.caption, "\n".join(lines), "\n".join(f"- {n}" for n in _notes(table))]
    return "\n\n".join(p for p in parts if p) + "\n"


def tex(table: Table) -> str:
    """LaTeX; needs the packages booktabs and xcolor, and graphicx where the table is wide."""

    def cell(c: Cell) -> str:
        text = _tex(c.text)
        text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(c.rank, text)
        return text + (rf"\textsuperscript{{{_number(table, c)}}}" if c.note else "")

    head = [table.first, *table.short, *([table.paper] if table.paper else [])]
    body = []
    for before, row in zip((None, *table.rows), table.rows, strict=False):
        # A rule between the reference rows and the ranked ones.
        if before is not None and before.reference and not row.reference:
            body.append(r"\midrule")
        paper = _tex(row.paper or "—")
        gray = [rf"\textcolor{{gray}}{{\textit{{{paper}}}}}"] if table.paper else []
        body.append(" & ".join([_tex(row.name), *map(cell, row.cells), *gray]) + r" \\")
    # Caption above, notes below, the paper's numbers in grey italics.
    notes = " ".join(_tex(n) for n in _notes(table))
    wide = len(head) > 10
    packages = ["booktabs", "xcolor", *(["graphicx"] if wide else [])]
    return "\n".join(
        [
            "% needs " + " and ".join(rf"\usepackage{{{p}}}" for p in packages),
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(table.caption)}}}",
            *([r"\resizebox{\textwidth}{!}{%"] if wide else []),
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            *_tex_groups(table),
            " & ".join(map(_tex, head)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}" + ("}" if wide else ""),
            *([rf"\par\smallskip\footnotesize {notes}"] if notes else []),
            r"\end{table}",
            "",
        ]
    )


def _tex_groups(table: Table) -> list[str]:
    """The row of the groups' headings with a rule below each; none without groups."""
    heads, rules, first = [""], [], 2
    for heading, count in table.groups:
        heads.append(rf"\multicolumn{{{count}}}{{c}}{{{_tex(heading)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + count - 1}}}")
        first += count
    return [" & ".join(heads) + r" \\", " ".join(rules)] if rules else []


def csv(table: Table) -> str:
    """Numbers for further work: mean, half-width and n in columns of their own."""
    buffer = io.StringIO()
    writer = csv_module.writer(buffer, lineterminator="\n")
    names = [f"{c} {part}" for c in table.columns for part in ("mean", "half-width", "n")]
    writer.writerow([table.first, *names, *([table.paper] if table.paper else [])])
    for row in table.rows:
        out: list[str] = [row.name]
        for c in row.cells:
            out += [f"{v:.4f}" if isfinite(v) else "" for v in (c.mean, c.half)] + [str(c.n)]
        writer.writerow(out + ([row.paper] if table.paper else []))
    return buffer.getvalue()


def html(table: Table) -> str:
    """An accessible HTML table: caption, header cells with a scope, reasons as tooltips, notes."""
    escape = html_module.escape

    def cell(c: Cell) -> str:
        text = {1: f"<strong>{c.text}</strong>", 2: f"<u>{c.text}</u>"}.get(c.rank, c.text)
        if not c.note:
            return f"<td>{text}</td>"
        return f'<td title="{escape(c.note)}">{text}<sup>{_number(table, c)}</sup></td>'

    # Header cells name their column or row for screen readers.
    above = [f'<th scope="colgroup" colspan="{n}">{escape(g)}</th>' for g, n in table.groups]
    cells = [f'<th scope="col">{escape(h)}</th>' for h in [table.first, *table.short]]
    if table.paper:
        cells.append(f'<th scope="col"><em>{escape(table.paper)}</em></th>')
    lines = ['<table class="results">', f"<caption>{escape(table.caption)}</caption>"]
    groups = f"<tr><td></td>{''.join(above)}</tr>" if above else ""
    lines += [f"<thead>{groups}<tr>{''.join(cells)}</tr></thead>", "<tbody>"]
    for row in table.rows:
        paper = f'<td style="color:#6E6E6E"><em>{row.paper or "—"}</em></td>' if table.paper else ""
        values = "".join(map(cell, row.cells))
        lines.append(f'<tr><th scope="row">{escape(row.name)}</th>{values}{paper}</tr>')
    lines += ["</tbody>", "</table>"]
    if notes := _notes(table):
        lines += ["<ul>", *(f"<li>{escape(n)}</li>" for n in notes), "</ul>"]
    return "\n".join(lines) + "\n"


def _notes(table: Table) -> list[str]:
    """The numbered reasons, then the table's notes."""
    return [*(f"[{i}] {why}" for i, why in enumerate(table.reasons, 1)), *table.notes]


def _number(table: Table, cell: Cell) -> int:
    """The number of the reason in a cell."""
    return table.reasons.index(cell.note) + 1


def _md_line(cells: list[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def _tex(text: str) -> str:
    return "".join(TEX.get(c, c) for c in text)


WRITERS: dict[str, Callable[[Table], str]] = {"md": md, "tex": tex, "csv": csv, "html": html}
FORMATS = tuple(WRITERS)
