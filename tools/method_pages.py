"""Pages of the site on methods: a card each, their list, and the table of agreement."""

from __future__ import annotations

from pathlib import Path

from msam_lib import results
from msam_lib.catalogue import METHODS
from msam_lib.interactive.method_card import as_markdown, card
from msam_lib.methods import UNKNOWN
from tests.reference import Agreement, agreements

ROOT = Path(__file__).resolve().parent.parent
CHECK = (
    "the tests write the authors' update out anew in plain tensors and step it beside the "
    "library's, for two and three modalities, over several steps with momentum and weight decay; "
    "weights agree to 1e-6 (MMPareto, which divides by small differences, to 5e-6)."
)


def toctree(names: list[str]) -> str:
    return "\n".join(["```{toctree}", ":maxdepth: 1", "", *names, "```", ""])


def methods(folder: Path) -> None:
    """A card per method, and their list by what they change."""
    frame, rows = results.load("methods", ROOT / "figures" / "data"), agreements()
    folder.mkdir()
    kinds: dict[str, list[str]] = {}
    for name, row in METHODS.items():
        text = as_markdown(card(name, frame)) + compared(name, rows)
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
        kinds.setdefault(row.kind, []).append(f"[{row.title}]({name}.md)")
    lines = ["# Methods", "", "What each one changes about a training step:", ""]
    lines += [f"* **{kind}**: {', '.join(links)}" for kind, links in kinds.items()]
    lines += ["", *(f"Not implemented: `{name}`. {why}" for name, why in UNKNOWN.items()), ""]
    (folder / "index.md").write_text("\n".join([*lines, toctree(list(METHODS))]), encoding="utf-8")


def compared(name: str, rows: list[Agreement]) -> str:
    """The section of a card on what the tests compare the method with."""
    lines = ["## Agreement with the source", ""]
    own = [row for row in rows if row.method == name]
    if not own:
        return "\n".join([*lines, "No reference of its own in the tests.", ""])
    lines += [f"For this method {CHECK}", ""]
    lines += ["| source | compared | deliberate departures |", "| --- | --- | --- |"]
    lines += ["| " + " | ".join(map(_cell, row[1:])) + " |" for row in own]
    return "\n".join([*lines, ""])


def agreement(path: Path) -> None:
    """The table of what the tests compare every method with, from the tests themselves."""
    rows = agreements()
    lines = ["# Agreement with the sources", ""]
    lines += [
        f"For every row {CHECK}",
        "",
        "| method | source | compared | deliberate departures |",
        "| --- | --- | --- | --- |",
    ]
    for name, method in METHODS.items():
        lines += [
            "| " + " | ".join([f"[{method.title}](methods/{name}.md)", *map(_cell, row[1:])]) + " |"
            for row in rows
            if row.method == name
        ]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*") or "none"
