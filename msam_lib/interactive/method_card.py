"""Method cards: what a method does, its measured cost, its accuracy against joint training's."""

from __future__ import annotations

import html
import inspect
from dataclasses import dataclass
from typing import Any

import pandas as pd

from msam_lib import catalogue
from msam_lib._utils import math_text
from msam_lib._utils.arguments import options_of
from msam_lib._utils.docstrings import split_docstring
from msam_lib.errors import unknown_name
from msam_lib.interactive.step_picture import kinds_changed, step_picture
from msam_lib.methods import METHODS
from msam_lib.results.comparison import against_joint

COSTS = {
    "step": "time of a step",
    "epoch": "time of an epoch",
    "memory": "peak memory of a step",
}


@dataclass(frozen=True)
class Card:
    """What the catalogue, the class and the frozen comparison say of one method.

    Args:
        name, title, kind: see `catalogue.MethodRow`.
        reference, passes, caveat: see `methods.Method`.
        requires, fusions, modalities: what it needs; fusions is empty where any will do.
        text: its docstring without the arguments, equations as LaTeX between dollar signs.
        steps: one training step as pseudo-code, a line each; empty where the row has none.
        picture: a drawing of the step with the changed parts marked, SVG in one line.
        arguments: {argument: description}.
        options: {argument: default}.
        allowed: {argument: what it may be}.
        cost: {quantity of `COSTS`: ratio to joint training}, late fusion, two modalities.
        results: see `results.comparison.against_joint`.
    """

    name: str
    title: str
    reference: str
    kind: str
    passes: str
    caveat: str
    requires: tuple[str, ...]
    fusions: tuple[str, ...]
    modalities: str
    text: str
    steps: tuple[str, ...]
    picture: str
    arguments: dict[str, str]
    options: dict[str, Any]
    allowed: dict[str, str]
    cost: dict[str, float]
    results: pd.DataFrame


def card(name: str, frame: pd.DataFrame) -> Card:
    """The card of a registered method.

    Args:
        name: see `python -m msam_lib list methods`.
        frame: the frozen comparison of all methods, `results.load("methods")`.

    Raises:
        MsamError: an unknown method.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    cls, row = METHODS[name], catalogue.METHODS[name]
    text, arguments = split_docstring(inspect.getdoc(cls) or "")
    # Costs were measured with late fusion, or with the first fusion that the method allows.
    costs = frame[(frame["split"] == "cost") & (frame["label"] == name)]
    costs = costs[costs["fusion"] == (cls.fusions[0] if cls.fusions else "late")]
    return Card(
        name=name,
        title=row.title,
        reference=cls.reference,
        kind=row.kind,
        passes=cls.passes,
        caveat=cls.caveat,
        requires=tuple(sorted(cls.requires)),
        fusions=tuple(cls.fusions),
        modalities=cls.modalities,
        text=text,
        steps=row.steps,
        picture=step_picture(row.title, kinds_changed(row.kind, text)),
        arguments=arguments,
        options=cls.options(),
        allowed={name: str(option) for name, option in options_of(cls).items()},
        cost={q: v for q, v in costs.groupby("metric")["value"].first().items() if q in COSTS},
        results=against_joint(frame, name),
    )


def _facts(c: Card) -> list[tuple[str, str]]:
    """The (name, value) rows that both forms of a card show."""
    cost = ", ".join(f"{COSTS[q]} {v:.2f} ×" for q, v in c.cost.items())
    works = f"fusion {', '.join(c.fusions)}" if c.fusions else "any fusion"
    works += "" if c.modalities == "any" else f", {c.modalities} modalities"
    facts = [
        ("changes", f"the {c.kind}" if c.kind != "nothing" else "nothing"),
        ("passes per batch", c.passes),
        ("works with", works),
        ("needs of the model", ", ".join(r.replace("_", " ") for r in c.requires) or "nothing"),
        ("measured against joint training", cost or "not measured"),
        ("source", c.reference),
    ]
    return facts + ([("caveat", c.caveat)] if c.caveat else [])


def as_html(c: Card) -> str:
    """The card without options and results, as HTML for a notebook; MathJax sets its equations."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(k)}</th>'
        f'<td style="text-align:left">{math_text.inline(v)}</td></tr>'
        for k, v in _facts(c)
    )
    steps = "".join(f"<li>{math_text.inline(line)}</li>" for line in c.steps)
    steps = f'<ol style="padding-left:2em">{steps}</ol>' if steps else ""
    # the class lets MathJax in where a page keeps it out of outputs
    return (
        '<div class="tex2jax_process" style="max-width:50em;overflow-x:auto">'
        f"<h4>{html.escape(c.title)}</h4>{math_text.as_html(c.text)}{c.picture}{steps}"
        f"<table>{rows}</table></div>"
    )


def as_markdown(c: Card) -> str:
    """The whole card as a page of Markdown: text, step, facts, options, results."""
    lines = [f"# {c.title}", "", c.text, "", "## One training step", ""]
    # a block of HTML begins with a tag that Markdown knows
    lines += [f"<div>{c.picture}</div>", ""]
    lines += [f"{number}. {line}" for number, line in enumerate(c.steps, 1)]
    lines += ["", "## Cost and needs", "", "| | |", "| --- | --- |"]
    lines += [f"| {k} | {v.replace('|', chr(92) + '|')} |" for k, v in _facts(c)]
    lines += ["", f'In code: `ml.build_method("{c.name}")`.', ""]
    if c.options:
        lines += ["## Options", "", "| option | default | allowed | meaning |"]
        lines += ["| --- | --- | --- | --- |"]
        lines += [
            f"| `{k}` | `{v!r}` | {c.allowed[k]} | {c.arguments.get(k, '')} |"
            for k, v in c.options.items()
        ]
        lines += [""]
    lines += ["## Measured here", ""]
    # A row per comparison; joint training and methods outside the tables have none.
    fused = c.results[c.results["modality"] == "fused"]
    if c.name == "joint" or fused.empty:
        why = (
            "Joint training is what the others are compared to."
            if c.name == "joint"
            else ("Not among the tables' rows.")
        )
        return "\n".join([*lines, why, ""])
    lines += [
        "Test accuracy, and its difference to joint training over the same seeds (95 % interval).",
        "",
        "| data, fusion | accuracy | difference | seeds |",
        "| --- | --- | --- | --- |",
    ]
    for r in fused.itertuples():
        span = f"{r.mean:+.1f} [{r.low:+.1f}, {r.high:+.1f}]"
        lines.append(f"| {r.comparison} | {r.accuracy:.1f} % | {span} | {r.seeds} |")
    return "\n".join([*lines, ""])
