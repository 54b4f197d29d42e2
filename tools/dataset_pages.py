"""Pages of the site on data sets: one each, from the catalogue, docstrings, and frozen results."""

from __future__ import annotations

import csv
import inspect
import json
import re
from functools import partial
from importlib import import_module
from pathlib import Path

from msam_lib._utils.docstrings import split_docstring
from msam_lib.catalogue import DATASETS, DEFAULT_DATASET
from msam_lib.data import describe
from tools import dataset_facts as facts
from tools.evidence_pages import by_the_protocol, figure_anchor
from tools.method_pages import toctree

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "figures"
KINDS = {
    "image": "image (channels, height, width)",
    "spectrogram": "spectrogram (1, frequencies, times)",
    "vector": "vector",
    "sequence": "sequence (steps, numbers)",
    "characters": "characters",
}


def datasets(folder: Path) -> None:
    """A page per data set, with its picture, and their list."""
    folder.mkdir()
    known = facts.facts()
    for name in DATASETS:
        parts = [_head(name), _sizes(name), _picture(name, folder), _origin(name), _getting(name)]
        parts += [_options(name), _measured(name), _caveats(name)]
        (folder / f"{name}.md").write_text("\n".join(map("\n".join, parts)), encoding="utf-8")
    lines = ["# Data sets", "", "A page each: what it is, where it comes from, how to get it, how "]
    lines[-1] += "hard it is made, and what was measured on it."
    for title, names in facts.GROUPS.items():
        sized = names[0] in known  # sizes of the others depend on the files that one has
        lines += ["", f"## {title}", "", "| data set | what it is |"]
        lines[-1] += " training, validation, test |" if sized else ""
        lines += ["| --- | --- |" + (" ---: |" if sized else "")]
        for name in names:
            default = " (the default)" if name == DEFAULT_DATASET else ""
            lines += [f"| [{name}]({name}.md){default} | {DATASETS[name].summary} |"]
            lines[-1] += f" {', '.join(f'{n:,}' for n in known[name]['parts'])} |" if sized else ""
    hidden = toctree(list(DATASETS)).replace(":maxdepth: 1", ":hidden:")  # the tables list them
    (folder / "index.md").write_text("\n".join([*lines, "", hidden]), encoding="utf-8")


def _target(name: str) -> tuple[str, str]:
    """(docstring of the module, docstring of the loader without its arguments)."""
    module, _, attribute = DATASETS[name].target.partition(":")
    found = import_module(module, "msam_lib")
    loader = getattr(found, attribute)
    loader = loader.func if isinstance(loader, partial) else loader
    return inspect.getdoc(found) or "", split_docstring(inspect.getdoc(loader) or "")[0]


def _head(name: str) -> list[str]:
    """What it is: summary, and how it is read."""
    module, loader = _target(name)
    text = re.sub(rf"^(`\w+`,? ?)*`{name}`(, `\w+`)*: ", "", module)
    if "\n\n" not in text:  # all is said at the loader
        text = loader
    words = [text[0].upper() + text[1:] for text in (DATASETS[name].summary, text)]
    return [f"# {name}", "", f"**{words[0]}.**", "", words[1], ""]


def _sizes(name: str) -> list[str]:
    """Modalities with shapes, classes and parts: measured, or what the loader says of itself."""
    lines = ["## Shapes and sizes", ""]
    known = facts.facts().get(name)
    if known is None:
        _, loader = _target(name)
        words = loader.split("\n\n")[0].replace("\n", " ")
        sizes = "Sizes are those of your files; `prepare` and `provenance` tell them."
        return [*lines, words, "", sizes, ""]
    lines += ["| modality | kind | shape of a sample |", "| --- | --- | --- |"]
    for m, (kind, shape) in known["modalities"].items():
        lines += [f"| `{m}` | {KINDS[kind]} | {' × '.join(map(str, shape))} |"]
    train, val, test = (f"{n:,}" for n in known["parts"])
    lines += ["", f"{known['classes']} classes; {train} samples for training, {val} for "]
    lines[-1] += f"validation, {test} for the test, with the default options."
    return [*lines, ""]


def _picture(name: str, folder: Path) -> list[str]:
    """Samples: drawn here where the data are embedded, else the stored picture, if any."""
    if name in facts.EMBEDDED:
        drawn, alt = facts.picture(name)
        drawn.savefig(folder / f"{name}.png", dpi=110)
        path = f"{name}.png"
    elif name in facts.STORED:
        path, alt = f"../_static/data_{name}.png", facts.facts()[name]["alt"]
    else:
        return []
    caption = "Samples of the test part, as a network gets them."
    if name == "avmnist_mini":
        caption = "Samples of the test part. A network gets the second and the fourth row."
    return [f"```{{figure}} {path}", f":alt: {alt}", "", caption, "```", ""]


def _origin(name: str) -> list[str]:
    """Where it comes from, licence, and the files of a downloaded one."""
    lines = ["## Source and licence", "", DATASETS[name].reference[0].upper()]
    lines[-1] += DATASETS[name].reference[1:] + "."
    if name == "avmnist_mini":
        lines += [
            "",
            "The licences stand beside the files, in `embedded/avmnist_mini/LICENCES.txt`",
        ]
        lines[-1] += " of `msam_lib/data`."
    if name in facts.DOWNLOADED:
        lines += ["", "| file under `$MSAM_DATA` | sha256 | upstream |", "| --- | --- | --- |"]
        for source in facts.files_of(name):
            digest = source.members_sha256 or source.sha256
            what = f"`{digest[:12]}…`" + (" of its members" if source.members else "")
            lines += [f"| `{source.path}` | {what} | `{source.url}` |"]
        lines += ["", "Every file is verified by its whole digest before it is read."]
    return [*lines, ""]


def _getting(name: str) -> list[str]:
    """How to get it."""
    row = DATASETS[name]
    lines = ["## How to get it", ""]
    train = f"python -m msam_lib train --dataset {name}"
    if name in facts.OWN:
        source = "data.csv" if name == "folder" else "FOLDER"
        lines += ["Write the table as described above; nothing has to be prepared.", ""]
        return [*lines, "```", f"{train} --source {source}", "```", ""]
    if row.prepare:
        lines += ["Get the distribution from its owners, put it into one folder in the layout "]
        lines[-1] += "described above, decode it once, and train:"
        commands = [f"python -m msam_lib prepare {name} --source FOLDER", train]
        commands += [f"python -m msam_lib evidence {name}   # the whole protocol"]
        lines += ["", "```", *commands, "```", ""]
        lines += ["The decoded arrays go into the cache (`$MSAM_CACHE`, or `--cache FOLDER`), are "]
        lines[-1] += "verified by their digests, and an interrupted preparation resumes."
        return [*lines, ""]
    if name in facts.DOWNLOADED:
        note = " ".join(s.note for s in facts.files_of(name) if s.note)
        lines += ["The first use downloads the files into the cache. Without a network, put them "]
        lines[-1] += f"into a folder under the paths above, and name it in `MSAM_DATA`. {note}"
    else:
        lines += ["It is embedded: nothing to fetch." if name != "synthetic" else "It is made."]
    return [*lines, "", "```", train, "```", ""]


def _options(name: str) -> list[str]:
    """Options, with what they may be."""
    lines = ["## Options", "", "How hard it is, how many samples, which modalities. With "]
    lines[-1] += f'`load_dataset("{name}", ...)` or `--data-options NAME=VALUE`:'
    lines += ["", "| option | meaning (default) | allowed |", "| --- | --- | --- |"]
    for line in describe(name).partition("options:\n")[2].splitlines():
        option, _, rest = line.strip().partition(": ")
        meaning = DATASETS[name].options.get(option, rest.partition("; ")[0])
        lines += [f"| `{option}` | {meaning} | {rest.removeprefix(meaning + '; ')} |"]
    return [*lines, ""]


def _measured(name: str) -> list[str]:
    """Headline numbers of the frozen tables, with links to them and to the figures."""
    lines = ["## What was measured on it", ""]
    tables = sorted(FIGURES.glob(f"table_methods_*_{name}.md"))
    manifest = json.loads((FIGURES / "manifest.json").read_text(encoding="utf-8"))
    shown = {
        key: item["title"]
        for key, item in manifest.items()
        if tables and (key.endswith(f"_{name}") or re.search(rf"\b{name}\b", item["caption"]))
    }
    if not tables:
        return [*lines, "Nothing yet that could be shown: no results on it are frozen here.", ""]
    for path in tables:
        lines += [*headline(path, name), ""]
    links = [f"[{title}](../figures.md#{figure_anchor(key)})" for key, title in shown.items()]
    return [*lines, "All tables and figures on it: " + "; ".join(links) + ".", ""]


def headline(path: Path, name: str) -> list[str]:
    """Three rows of a table of all methods: each modality by itself, joint training, the best."""
    text = re.sub(r"\*\*|</?u>", "", path.read_text(encoding="utf-8"))
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    head, rows = table[0], {row[0]: row for row in table[2:]}
    kept = [k for k, title in enumerate(head) if k and "(" not in title and "paper" not in title]
    names = [m for m in rows if m != "Unimodal" and not m.startswith("Floor")]
    fusion = path.stem.removeprefix("table_methods_").removesuffix(f"_{name}")
    with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        exact = {r["method"]: r for r in csv.DictReader(file)}
    # by all decimals: rounded ones may be equal
    best = max(names, key=lambda m: float(exact[m]["fused mean"]))
    seeds = exact[best]["fused n"]
    searched = (name, fusion) in by_the_protocol()
    state = "by [the protocol](../protocol.md)" if searched else "by an older search with one seed"
    lines = [f"**Fusion `{fusion}`**: test accuracy in percent, mean ± half-width of the 95 % "]
    lines[-1] += f"interval over {seeds} seeds, {len(names)} methods, tuned {state}. The "
    lines[-1] += "highest of so many owes something to luck; the table has them all."
    lines += ["", "| | " + " | ".join(head[k] for k in kept) + " |"]
    lines += ["| --- |" + " ---: |" * len(kept)]
    shown = {"each modality by itself": "Unimodal", "joint training": "Joint training"}
    for words, method in (shown | {f"highest fused: {best}": best}).items():
        if method in rows:
            lines += [f"| {words} | " + " | ".join(rows[method][k] for k in kept) + " |"]
    return lines


def _caveats(name: str) -> list[str]:
    return ["## Caveats", "", *(f"* {words}" for words in facts.CAVEATS[name]), ""]
