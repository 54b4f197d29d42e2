"""The course as slides: every cell that shows something, cut so that it fits, without code."""

from __future__ import annotations

import re

import nbformat

from tools import build_slides

SOLUTION = build_slides.ROOT / "notebooks" / "solutions" / "01_when_one_modality_wins.ipynb"


def test_a_notebook_becomes_slides_with_its_pictures_and_without_code(tmp_path):
    book = nbformat.read(SOLUTION, as_version=4)
    html = build_slides.export(SOLUTION, tmp_path / "slides").read_text("utf-8")
    body = html[html.index('<div class="slides">') :]
    shown = [c.source for c in book.cells if c.cell_type == "markdown"]
    heads = [h for text in shown for h in re.findall(r"\A#+ (.+)$", text, re.MULTILINE)]
    assert len(heads) > 8
    assert [h for h in heads if not re.search(rf"<h\d[^>]*>\s*{re.escape(h[:12])}", body)] == []
    code = [c.source for c in book.cells if c.cell_type == "code"]
    assert "ml.build_model(" in "".join(code) and "ml.build_model(" not in re.sub(
        "<[^>]+>", "", body
    )
    outputs = [o for c in book.cells if c.cell_type == "code" for o in c.outputs]
    pictures = sum("<img alt=" in o.get("data", {}).get("text/html", "") for o in outputs)
    assert pictures > 2 and len(re.findall(r"<img alt=\"[^\"]+\"", body)) == pictures
    # Each heading begins a column; columns hold their slides.
    assert body.count("<section>") >= 2 * len(heads)


def test_no_slide_is_longer_than_it_has_room_for():
    for path in build_slides.SOLUTIONS.glob("*.ipynb"):
        if not path.stem.startswith(build_slides.COURSE):
            continue
        book = build_slides.marked(nbformat.read(path, as_version=4))
        slides: list[list] = []
        for cell in book.cells:
            if cell.metadata.slideshow.slide_type == "-":
                slides[-1].append(cell)
            else:
                slides.append([cell])
        assert len(slides) > 8
        for cells in slides:
            texts = [len(c.source.split()) for c in cells if c.cell_type == "markdown"]
            assert len(texts) <= 1 or sum(texts) <= build_slides.ROOM
            pictures = [c for c in cells if build_slides.has_picture(c)]
            assert not pictures or cells == pictures[:1]
        assert all(c.cell_type == "markdown" or c.outputs for c in book.cells)


def test_the_course_is_that_of_the_page_for_teachers():
    page = (build_slides.ROOT / "book" / "teaching.md").read_text("utf-8")
    plan = page.partition("## Minute by minute")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| \S+ \| \[(\d\d)\]", plan, re.MULTILINE)) == build_slides.COURSE
