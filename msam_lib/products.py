"""Writing the products of a registry of figures and tables, and finding those that are stale.

`manifest.json` beside the products records which data and which code they were made from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from msam_lib.errors import MsamError, unknown_name
from msam_lib.frozen import find, load, sha256
from msam_lib.plots import Table, save
from msam_lib.source import source_commit

if TYPE_CHECKING:
    from msam_lib.paper_items import PaperItem

# modules between results and products, beside those of plots/
CODE = (
    "comparison",
    "frozen",
    "geometry",
    "paper",
    "paper_costs",
    "paper_items",
    "paper_methods",
    "paper_paired",
    "paper_tables",
    "products",
    "results",
    "search_results",
    "selection",
    "sharpness_results",
    "statistics",
    "tune",
)


def build(
    items: Mapping[str, PaperItem],
    names: Iterable[str] | None = None,
    out: str | os.PathLike[str] = "figures",
    check: bool = False,
) -> list[str]:
    """Draw items into a folder, or tell which are stale; see `paper.build_all`."""
    wanted = [n for n in items if _available(items[n], Path(out))] if names is None else list(names)
    if unknown := [n for n in wanted if n not in items]:
        raise unknown_name("figure or table", unknown[0], items)
    if not wanted:
        raise MsamError(f"No frozen results for {out}. `python -m msam_lib figures` makes them.")
    folder = Path(out)
    record = folder / "manifest.json"
    manifest: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    code, data = code_hash(), {n: _data(n, folder) for n in {items[w].needs for w in wanted}}
    digests = {n: sha256(path.read_bytes()) for n, path in data.items()}
    if check:
        return [
            n
            for n in wanted
            if _stale(items[n], folder, manifest.get(n, {}), digests[items[n].needs], code)
        ]
    folder.mkdir(parents=True, exist_ok=True)
    frames = {n: load(n, path.parent) for n, path in data.items()}
    for name in wanted:
        item, frame = items[name], frames[items[name].needs]
        files = _write(item.build(frame), folder / name, item.kinds)
        manifest[name] = {
            "title": item.title,
            "caption": item.full_caption(frame),
            "alt": item.alt(frame),
            "paper": item.paper_reference,
            "files": files,
            "data": {item.needs: digests[item.needs]},
            "code": code,
            "commit": source_commit(),
        }
    ordered = {n: manifest[n] for n in items if n in manifest}
    record.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return wanted


def code_hash() -> str:
    """SHA-256 of all code between frozen results and products (line ends as in git)."""
    here = Path(__file__).resolve().parent
    files = [*sorted((here / "plots").glob("*.py")), *(here / f"{name}.py" for name in CODE)]
    return sha256(b"".join(p.read_bytes().replace(b"\r\n", b"\n") for p in files))


def _available(item: PaperItem, folder: Path) -> bool:
    """Whether the results it is drawn from are here (those of downloaded data may not be)."""
    try:
        return _data(item.needs, folder).exists()
    except MsamError:
        return False


def _data(name: str, folder: Path) -> Path:
    own = folder / "data"
    return find(name, own if (own / f"{name}.csv.gz").exists() else None)


def _stale(item: PaperItem, folder: Path, entry: dict[str, Any], data: str, code: str) -> bool:
    there = all((folder / f"{item.name}.{kind}").exists() for kind in item.kinds)
    same = entry.get("data") == {item.needs: data} and entry.get("code") == code
    return not (there and same)


def _write(product: Figure | Table, stem: Path, kinds: tuple[str, ...]) -> list[str]:
    if isinstance(product, Figure):
        return [p.name for p in save(product, stem, kinds)]
    for kind in kinds:
        Path(f"{stem}.{kind}").write_text(product.to(kind), encoding="utf-8")
    return [f"{stem.name}.{kind}" for kind in kinds]
