"""Writing the products of a registry of figures and tables, and finding those that are stale.

`manifest.json` beside the products records which data and which code they were made from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from msam_lib._utils.source import source_commit
from msam_lib.errors import MsamError, unknown_name
from msam_lib.figures._code import code_hash
from msam_lib.figures.item import FigureItem, Product
from msam_lib.plots import save
from msam_lib.results.frozen import find, load, sha256


def build(
    items: Mapping[str, FigureItem],
    names: Iterable[str] | None = None,
    out: str | os.PathLike[str] = "figures",
    check: bool = False,
    size: str = "paper",
) -> list[str]:
    """Names of the items drawn into a folder, or found stale there; see `registry.build_all`."""
    folder = Path(out)
    wanted = [n for n in items if _available(items[n], folder)] if names is None else list(names)
    if unknown := [n for n in wanted if n not in items]:
        raise unknown_name("figure or table", unknown[0], items)
    if not wanted:
        raise MsamError(f"No frozen results for {out}. `python -m msam_lib figures` makes them.")
    # What the products are made from: the frozen results of all items (each read once) and code.
    record = folder / "manifest.json"
    manifest: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    data = {n: _data(n, folder) for w in wanted for n in sources(items[w], folder)}
    digests = {n: sha256(path.read_bytes()) for n, path in data.items()}
    made_from = {n: _made_from(items[n], digests) for n in wanted}
    if check:
        return [n for n in wanted if _stale(items[n], folder, manifest.get(n, {}), made_from[n])]
    folder.mkdir(parents=True, exist_ok=True)
    frames = {n: load(n, path.parent) for n, path in data.items()}
    for name in wanted:
        item = items[name]
        manifest[name] = {
            "title": item.title,
            "caption": item.full_caption(frames),
            "alt": item.alt(frames),
            "paper": item.paper_reference,
            "files": _write(item.build(frames), folder / name, item.kinds, size),
            **made_from[name],
            "commit": source_commit(),
        }
    ordered = {n: manifest[n] for n in items if n in manifest}  # no former items
    record.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return wanted


def _made_from(item: FigureItem, digests: Mapping[str, str]) -> dict[str, Any]:
    """What an item depends on: digests of the data that it reads and of the code that draws it."""
    code = code_hash(item.modules | {__name__})
    read = (*item.sources, *item.optional)
    return {"data": {n: digests[n] for n in read if n in digests}, "code": code}


def _available(item: FigureItem, folder: Path) -> bool:
    """Whether the frozen results of an item are here (those of downloaded data may not be)."""
    return all(_is_here(name, folder) for name in item.sources)


def sources(item: FigureItem, folder: Path = Path("figures")) -> list[str]:
    """Names of the frozen results that an item is drawn from: all that it needs, and of the
    optional ones those that are there.
    """
    return [*item.sources, *(name for name in item.optional if _is_here(name, folder))]


def _is_here(name: str, folder: Path) -> bool:
    """Whether there are frozen results of that name."""
    try:
        return _data(name, folder).exists()
    except MsamError:
        return False


def _data(name: str, folder: Path) -> Path:
    """The path of frozen results: those beside the products, or else the usual ones."""
    beside = folder / "data"
    return find(name, beside if (beside / f"{name}.csv.gz").exists() else None)


def _stale(
    item: FigureItem, folder: Path, entry: Mapping[str, Any], made_from: Mapping[str, Any]
) -> bool:
    """Whether a product is missing, or was made from other data or code."""
    complete = all((folder / f"{item.name}.{kind}").exists() for kind in item.kinds)
    return not complete or any(entry.get(k) != v for k, v in made_from.items())


def _write(product: Product, stem: Path, kinds: tuple[str, ...], size: str) -> list[str]:
    """Write a figure or table in every format; returns the names of the files."""
    if isinstance(product, Figure):
        return [p.name for p in save(product, stem, kinds, size)]
    for kind in kinds:
        Path(f"{stem}.{kind}").write_text(product.to(kind), encoding="utf-8")
    return [f"{stem.name}.{kind}" for kind in kinds]
