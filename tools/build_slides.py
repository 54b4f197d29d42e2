"""Exports the notebooks of the course as slides without code.

    python tools/build_slides.py         build/slides/NN_title.slides.html, all of the course
    python tools/build_slides.py 01      those whose names begin so

Texts and outputs are those of the committed solutions; nothing is run. A heading begins a slide, a
picture stands on a slide of its own below it, and so does a text for which there is no room left.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "notebooks" / "solutions"
COURSE = ("00", "01", "02", "03", "04", "05", "07")
ROOM = 130  # words on a slide


def marked(book: NotebookNode) -> NotebookNode:
    """The notebook with the type of slide of every cell, and without cells that show nothing."""
    book = copy.deepcopy(book)
    book.cells = [c for c in book.cells if c.cell_type == "markdown" or c.outputs]
    words, after_picture = 0, False
    for cell in book.cells:
        picture = has_picture(cell)
        new = len(cell.source.split()) if cell.cell_type == "markdown" else 0
        kind = "-"
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            kind = "slide"
        elif picture or after_picture or words + new > ROOM:
            kind = "subslide"
        words, after_picture = (words if kind == "-" else 0) + new, picture
        cell.metadata["slideshow"] = {"slide_type": kind}
    return book


def has_picture(cell: NotebookNode) -> bool:
    """Whether a cell shows a picture."""
    kinds = [o.get("data", {}) for o in cell.get("outputs", [])]
    # moving pictures are HTML alone
    return any("image/png" in k or "<img " in "".join(k.get("text/html", "")) for k in kinds)


def export(path: Path, folder: Path) -> Path:
    """Write the slides of one executed notebook; returns their path."""
    exporter = SlidesExporter(exclude_input=True, exclude_input_prompt=True, reveal_scroll=True)
    exporter.exclude_output_prompt = True
    html, _ = exporter.from_notebook_node(marked(nbformat.read(path, as_version=4)))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{path.stem}.slides.html"
    target.write_text(html, encoding="utf-8")
    return target


def main() -> None:
    """Export the course, or what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=COURSE, help="beginnings of file names")
    names = tuple(parser.parse_args().names)
    for path in sorted(SOLUTIONS.glob("*.ipynb")):
        if path.stem.startswith(names):
            print(export(path, ROOT / "build" / "slides").relative_to(ROOT))


if __name__ == "__main__":
    main()
