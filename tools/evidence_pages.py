"""Pages of the site from files of the repository: links turned, the protocol's list, the claims."""

from __future__ import annotations

import re
from pathlib import Path

from msam_lib import results
from msam_lib.figures.registry import ITEMS
from msam_lib.labels import Comparison
from msam_lib.results.protocol import searched

ROOT = Path(__file__).resolve().parent.parent


def protocol(path: Path) -> None:
    """Put the list of what was measured into the page, from the frozen results."""
    data, done = ROOT / "figures" / "data", by_the_protocol()
    lines = [
        "| data | fusion | methods | final seeds | search |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for file in sorted(data.glob("methods_*.csv.gz")):
        frame = results.load(file.name.removesuffix(".csv.gz"), data)
        for (dataset, fusion), rows in frame.groupby(["dataset", "fusion"]):
            number = rows.groupby("label")["seed"].nunique()
            spread = " to ".join(str(n) for n in sorted({number.min(), number.max()}))
            state = "by this protocol" if (dataset, fusion) in done else "older"
            lines.append(f"| `{dataset}` | {fusion} | {len(number)} | {spread} | {state} |")
    text = path.read_text(encoding="utf-8").replace("{settings}", "\n".join(lines))
    path.write_text(text, encoding="utf-8")


def by_the_protocol() -> set[Comparison]:
    """The comparisons that the frozen search holds with several seeds."""
    return searched(results.load("search", ROOT / "figures" / "data"))


def claims(path: Path) -> None:
    """The ledger of claims."""
    text = (ROOT / "figures" / "claims.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\((\w+\.(?:md|png))\)", r"](../figures/\1)", text)
    head = [
        "# Claims",
        "",
        "What both papers and the methods beside them claim, how it is tested here by the "
        "[protocol](protocol.md), and what came out.",
        "",
    ]
    path.write_text("\n".join([*head, text]), encoding="utf-8")


def figure_anchor(name: str) -> str:
    """Of a figure's or table's heading on the page of figures."""
    return re.sub(r"[^\w\s-]", "", ITEMS[name].title.lower()).replace(" ", "-")


def turn_links(path: Path) -> None:
    """Let a page's links, which lead to files of the repository, lead to pages of the site, and
    what it shows be the copied picture.
    """

    def figure(found: re.Match[str]) -> str:
        shown, words, name = found[1], found[2], found[3]
        if shown:
            return found[0]
        page = "claims.md" if name == "claims" else f"figures.md#{figure_anchor(name)}"
        return f"[{words}]({page})"

    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(!?)\[([^\]]*)\]\(\.\./figures/(\w+)\.\w+\)", figure, text)
    text = text.replace("](../CHANGELOG.md)", "](changelog.md)").replace("](../", "](")
    path.write_text(text, encoding="utf-8")
