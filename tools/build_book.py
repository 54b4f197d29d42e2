"""Builds the site: notebooks, figures, a page per method and data set, the API from docstrings.

    python tools/build_book.py            build/book/html
    python tools/build_book.py --check    the same, and fail on broken links within the site

Pages are assembled in `build/book/source`, then Sphinx makes them into HTML. Nothing is trained.
"""

from __future__ import annotations

import argparse
import html.parser
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "book"
MODULES = {  # a page each
    "Catalogue": ["catalogue", "labels", "errors"],
    "Data": ["data", "data.containers", "data.label_noise"],
    "Models": ["models.base", "models.multimodal", "models.wrapped", "models.fusions.base"],
    "Contributions": ["contributions.shapley", "contributions.measure"],
    "Methods": ["methods", "methods.base", "methods.msam", "methods.masam", "methods.sam"],
    "Training": ["training.trainer", "training.evaluate", "training.history", "training.runs"],
    "Diagnostics": ["diagnostics"],
    "Experiments": [
        "experiments.experiment",
        "experiments.build",
        "experiments.suite",
        "experiments.search",
        "experiments.trials",
        "experiments.cases",
        "experiments.comparison",
    ],
    "Results": [
        "results.frozen",
        "results.frame",
        "results.summary",
        "results.statistics",
        "results.rows",
        "results.comparison",
        "results.gains",
        "results.luck",
        "results.claims",
        "results.reference",
        "results.coalitions",
    ],
    "Pictures": ["plots", "figures.item", "figures.registry"],
    "Interactive": [
        "interactive.explorer",
        "interactive.exercises",
        "interactive.quiz",
        "interactive.live_run",
        "interactive.live_panel",
        "interactive.method_card",
    ],
}
RACE = (  # the moving picture on a small screen, and on a dark one
    "@media (max-width:500px){text{font-size:19px}.title{font-size:19px}}"
    "@media (prefers-color-scheme:dark){text{fill:#E6E6E6}.note,.epoch{fill:#AAAAAA}"
    ".track{fill:#3A3A3A}.finish{stroke:#E6E6E6}svg>rect:first-of-type{fill:#1A1C1E}}</style>"
)
OWN_ONLY = ("data", "methods")  # what these re-export is documented with another module


def assemble(source: Path) -> None:
    """Write every page into the folder that Sphinx reads."""
    sys.path.insert(0, str(ROOT))
    from tools import dataset_pages, evidence_pages, explore_pages, method_pages, online

    shutil.copytree(ROOT / "book", source)
    explore_pages.copy_static(source / "_static")
    (source / "notebooks").mkdir()
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = notebook.read_text(encoding="utf-8").replace("](../book/", "](../")
        (source / "notebooks" / notebook.name).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "figures", source / "figures", ignore=shutil.ignore_patterns("data"))
    shutil.copy(ROOT / "CHANGELOG.md", source / "changelog.md")
    method_pages.methods(source / "methods")
    dataset_pages.datasets(source / "datasets")
    method_pages.agreement(source / "agreement.md")
    evidence_pages.protocol(source / "protocol.md")
    evidence_pages.claims(source / "claims.md")
    explore_pages.fill(source / "explore.md")
    online.fill(source / "online.md")
    for page in source.glob("*.md"):
        evidence_pages.turn_links(page)
    _figures(source)
    race = source / "figures" / "race.svg"
    race.write_text(race.read_text("utf-8").replace("</style>", RACE, 1), encoding="utf-8")
    _api(source / "api")


def _figures(source: Path) -> None:
    """Every figure and table with its caption and what it was drawn from."""
    manifest = json.loads((ROOT / "figures" / "manifest.json").read_text(encoding="utf-8"))
    lines = ["# Figures and tables", ""]
    for name, item in manifest.items():
        if name == "claims":  # a page of its own
            continue
        lines += [f"## {item['title']}", ""]
        if item["paper"]:
            lines += [f"*Corresponds to {item['paper']} of the paper.*", ""]
        endings = (".png", ".svg")  # the first that there is
        picture = next((f for e in endings for f in item["files"] if f.endswith(e)), None)
        if picture:
            alt = item["alt"].replace("\n", " ")
            lines += [
                f"```{{figure}} figures/{picture}",
                f":alt: {alt}",
                "",
                item["caption"],
                "```",
            ]
        else:
            lines += [(ROOT / "figures" / f"{name}.md").read_text(encoding="utf-8")]
        digests = ", ".join(f"`{k}` (sha256 {v[:12]})" for k, v in item["data"].items())
        lines += ["", f"Drawn from {digests}.", ""]
    (source / "figures.md").write_text("\n".join(lines), encoding="utf-8")
    linked = {line.rpartition("/")[2] for line in lines if line.startswith("```{figure}")}
    for path in (source / "figures").iterdir():
        if path.name not in linked:
            path.unlink()


def _api(folder: Path) -> None:
    """A page per group of modules, and an index of the public names."""
    from msam_lib import PUBLIC
    from tools.method_pages import toctree

    folder.mkdir()
    names = [title.lower() for title in MODULES]
    for name, (title, modules) in zip(names, MODULES.items(), strict=True):
        (folder / f"{name}.rst").write_text(_rst(title, modules), encoding="utf-8")
    lines = ["# API", "", "From the docstrings: shapes, units, errors and sources.", ""]
    lines += ["The public names, after `import msam_lib as ml`:", "", "| name | what it is |"]
    lines += ["| --- | --- |", *(f"| `ml.{n}` | {words} |" for n, (_, words) in PUBLIC.items())]
    text = "\n".join([*lines, "", toctree(names)])
    (folder / "index.md").write_text(text, encoding="utf-8")


def _rst(title: str, modules: list[str]) -> str:
    lines = [title, "=" * len(title), ""]
    for m in modules:
        head = f"msam_lib.{m}"
        lines += [head, "-" * len(head), "", f".. automodule:: {head}"]
        lines += ["   :ignore-module-all:", ""] if m in OWN_ONLY else [""]
    return "\n".join(lines)


class _Links(html.parser.HTMLParser):
    """The targets and the anchors of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.targets += [v for k in ("href", "src") if (v := given.get(k))]
        self.anchors |= {v for k in ("id", "name") if (v := given.get(k))}


def broken(site: Path) -> Iterator[str]:
    """`"page: target"` of every link within the site that leads nowhere."""
    pages = {path: _Links() for path in sorted(site.rglob("*.html"))}
    for path, links in pages.items():
        links.feed(path.read_text(encoding="utf-8"))
    known = {path.resolve(): links for path, links in pages.items()}
    for path, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or path.name in ("search.html", "genindex.html"):
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            anchors = known[to].anchors if to in known else {parts.fragment}
            if not to.exists() or (parts.fragment and unquote(parts.fragment) not in anchors):
                yield f"{path.relative_to(site)}: {target}"


def main() -> None:
    """Assemble, build and, with `--check`, follow every link within the site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail on broken links")
    args = parser.parse_args()
    shutil.rmtree(OUT, ignore_errors=True)
    assemble(OUT / "source")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    command += [str(OUT / "source"), str(OUT / "html")]
    subprocess.run(command, check=True)
    if args.check:
        links = list(broken(OUT / "html"))
        print("\n".join(links) or "every link within the site leads somewhere")
        sys.exit(1 if links else 0)
    print(f"open {OUT / 'html' / 'index.html'}")


if __name__ == "__main__":
    main()
