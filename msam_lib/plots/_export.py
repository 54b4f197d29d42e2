"""`Table` as Markdown, LaTeX, CSV and HTML text."""

from __future__ import annotations

import csv as csv_module
import html as html_module
import io
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msam_lib.plots.tables import Cell, Table

TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "±": r"$\pm$", "—": "---",
       "ρ": r"$\rho$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
       "\\": r"\textbackslash{}", "^": r"\textasciicircum{}"}  # fmt: skip


def md(table: Table) -> str:
    """GitHub's Markdown, with caption above and notes below."""

    def cell(c: Cell) -> str:
        text = {1: f"**{c.text}**", 2: f"<u>{c.text}</u>"}.get(c.rank, c.text)
        return text + (f" [{_number(table, c)}]" if c.note else "")

    head = ["method", *table.columns, *([table.paper] if table.paper else [])]
    lines = [_md_line(head), "|".join(["", " --- ", *[" ---: "] * (len(head) - 1), ""])]
    for row in table.rows:
        paper = [f"*{row.paper}*" if row.paper else "—"] if table.paper else []
        lines.append(_md_line([row.name, *map(cell, row.cells), *paper]))
    parts = [table.caption, "\n".join(lines), "\n".join(f"- {n}" for n in _notes(table))]
    return "\n\n".join(p for p in parts if p) + "\n"


def tex(table: Table) -> str:
    """LaTeX; needs the packages booktabs and xcolor."""

    def cell(c: Cell) -> str:
        text = _tex(c.text)
        text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(c.rank, text)
        return text + (rf"\textsuperscript{{{_number(table, c)}}}" if c.note else "")

    head = ["method", *table.columns, *([table.paper] if table.paper else [])]
    body = []
    for before, row in zip((None, *table.rows), table.rows, strict=False):
        if before is not None and before.reference and not row.reference:
            body.append(r"\midrule")
        paper = _tex(row.paper or "—")
        gray = [rf"\textcolor{{gray}}{{\textit{{{paper}}}}}"] if table.paper else []
        body.append(" & ".join([_tex(row.name), *map(cell, row.cells), *gray]) + r" \\")
    notes = " ".join(_tex(n) for n in _notes(table))
    return "\n".join(
        [
            "% needs \\usepackage{booktabs} and \\usepackage{xcolor}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(table.caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            " & ".join(map(_tex, head)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *([rf"\par\smallskip\footnotesize {notes}"] if notes else []),
            r"\end{table}",
            "",
        ]
    )


def csv(table: Table) -> str:
    """Numbers for further work: mean, half-width and n in columns of their own."""
    buffer = io.StringIO()
    writer = csv_module.writer(buffer, lineterminator="\n")
    names = [f"{c} {part}" for c in table.columns for part in ("mean", "half-width", "n")]
    writer.writerow(["method", *names, *([table.paper] if table.paper else [])])
    for row in table.rows:
        out: list[str] = [row.name]
        for c in row.cells:
            out += [f"{v:.4f}" if isfinite(v) else "" for v in (c.mean, c.half)] + [str(c.n)]
        writer.writerow(out + ([row.paper] if table.paper else []))
    return buffer.getvalue()


def html(table: Table) -> str:
    """An accessible HTML table: caption, header cells with a scope, reasons as tooltips and
    notes.
    """
    escape = html_module.escape

    def cell(c: Cell) -> str:
        text = {1: f"<strong>{c.text}</strong>", 2: f"<u>{c.text}</u>"}.get(c.rank, c.text)
        if not c.note:
            return f"<td>{text}</td>"
        return f'<td title="{escape(c.note)}">{text}<sup>{_number(table, c)}</sup></td>'

    head = ["method", *table.columns]
    cells = [f'<th scope="col">{escape(h)}</th>' for h in head]
    if table.paper:
        cells.append(f'<th scope="col"><em>{escape(table.paper)}</em></th>')
    lines = ['<table class="results">', f"<caption>{escape(table.caption)}</caption>"]
    lines += [f"<thead><tr>{''.join(cells)}</tr></thead>", "<tbody>"]
    for row in table.rows:
        paper = f'<td style="color:#6E6E6E"><em>{row.paper or "—"}</em></td>' if table.paper else ""
        values = "".join(map(cell, row.cells))
        lines.append(f'<tr><th scope="row">{escape(row.name)}</th>{values}{paper}</tr>')
    lines += ["</tbody>", "</table>"]
    if notes := _notes(table):
        lines += ["<ul>", *(f"<li>{escape(n)}</li>" for n in notes), "</ul>"]
    return "\n".join(lines) + "\n"


def _notes(table: Table) -> list[str]:
    return [*(f"[{i}] {why}" for i, why in enumerate(table.reasons, 1)), *table.notes]


def _number(table: Table, cell: Cell) -> int:
    return table.reasons.index(cell.note) + 1


def _md_line(cells: list[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def _tex(text: str) -> str:
    return "".join(TEX.get(c, c) for c in text)
