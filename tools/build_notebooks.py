"""Builds the notebooks from their sources, the only files that are edited by hand.

    python tools/build_notebooks.py              build notebooks/ and notebooks/solutions/;
                                                 outputs of unchanged cells stay
    python tools/build_notebooks.py --execute    the same, and run every solution for its outputs
    python tools/build_notebooks.py --check      fail where a notebook does not match its source

A source is `notebooks/_src/NN_title.py` in percent format. From it come the solution (everything)
and the student's notebook: a cell tagged `solution` is left out, and in a cell tagged `exercise`
all that follows the line `# solution` is replaced by placeholders for the answers. Cell ids are
made from position and text, so that a build gives the same bytes each time; execution leaves no
widget state and no times.

An exercise is checked by a cell that begins with `@exercise("NN.N", answer, ...)`. In the student's
notebook each of these answers is the placeholder `...`, which the check takes for "not solved yet",
so that all cells run to the end. What the solution's checks printed is not shown there.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # called as a script
from tools import online  # noqa: E402

SOURCES = ROOT / "notebooks" / "_src"
MAX_OUTPUT, MAX_NOTEBOOK = 100 * 1024, 600 * 1024
OBJECT = re.compile(r"<[\w.]+ object(?: at 0x[0-9a-f]+)?>")
CHECKS = re.compile(r"^(@exercise|solved)\(", re.MULTILINE)  # cells that look at answers
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sources() -> list[Path]:
    """Every notebook's source, in order."""
    return sorted(SOURCES.glob("[0-9][0-9]_*.py"))


def solution(source: Path) -> NotebookNode:
    """The complete notebook of a source."""
    book = jupytext.read(source, fmt="py:percent")
    if online.REPOSITORY and source.stem.startswith("00"):
        book.cells.insert(1, nbformat.v4.new_code_cell(online.colab_cell(online.REPOSITORY)))
    book.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    book.nbformat, book.nbformat_minor = 4, 5
    return with_ids(book)


def with_ids(book: NotebookNode) -> NotebookNode:
    """Ids from position and text, and only the metadata that matter."""
    for number, cell in enumerate(book.cells):
        cell.id = hashlib.sha256(f"{number}:{cell.source}".encode()).hexdigest()[:8]
        tags = cell.metadata.get("tags", [])
        cell.metadata = NotebookNode(tags=tags) if tags else NotebookNode()
        if cell.cell_type == "code":
            cell.execution_count = None
    return book


def student(book: NotebookNode) -> NotebookNode:
    """The student's version: no solutions, and a placeholder for every answer."""
    book = copy.deepcopy(book)
    book.cells = [c for c in book.cells if "solution" not in c.metadata.get("tags", [])]
    asked = answers(book)
    for cell in book.cells:
        if "exercise" in cell.metadata.get("tags", []):
            kept, mark, _ = cell.source.partition("# solution\n")
            name = re.search(r"Exercise ([\d.]+)", kept)
            if not (mark and name and name[1] in asked):
                need = "'Exercise NN.N', '# solution', and a cell with @exercise(\"NN.N\", answer)"
                raise SystemExit(f"An exercise needs {need}:\n{cell.source}")
            open_ = "\n".join(f"{answer} = ..." for answer in asked[name[1]])
            cell.source = f"{kept}# Write your code here.\n{open_}"
            cell.outputs = []
        elif cell.cell_type == "code" and CHECKS.search(cell.source):
            cell.outputs = []
    return with_ids(book)


def answers(book: NotebookNode) -> dict[str, list[str]]:
    """{exercise: names of its answers}, from the cells that check them."""
    found = [re.search(r'^@exercise\("([\d.]+)", ([\w, ]+)\)$', c.source, re.M) for c in book.cells]
    return {m[1]: m[2].split(", ") for m in found if m}


def execute(book: NotebookNode, title: str) -> NotebookNode:
    """Run every cell; outputs are cleaned of whatever changes from run to run."""
    from nbclient import NotebookClient

    for name, value in {"PYTHONHASHSEED": "0", "TQDM_DISABLE": "1", "MSAM_STATIC": "1"}.items():
        os.environ.setdefault(name, value)
    start = time.perf_counter()
    where = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(book, timeout=600, kernel_name="python3", resources=where).execute()
    print(f"{title}: {time.perf_counter() - start:.0f} s", flush=True)
    outputs = [o for c in book.cells for o in c.get("outputs", [])]
    for output in (o for o in outputs if o.get("name") == "stderr"):
        print(f"{title}: a cell wrote to standard error: {output.text}", flush=True)
    book.metadata.pop("widgets", None)
    book.metadata.language_info = NotebookNode(name="python")
    book.cells = [clean(cell) for cell in book.cells]
    return book


def clean(cell: NotebookNode) -> NotebookNode:
    """One cell without execution times, widget views, standard error, and the names of classes that
    stand for what is shown.
    """
    cell.metadata.pop("execution", None)
    if cell.cell_type != "code":
        return cell
    cell.execution_count = None
    kept = []
    for output in cell.outputs:
        if output.get("name") == "stderr":
            continue
        if kept and output.output_type == kept[-1].output_type == "stream":
            kept[-1].text += output.text  # how a text is cut into pieces varies
            continue
        if "data" in output:
            if "application/vnd.jupyter.widget-view+json" in output.data:
                continue  # a widget without its kernel shows nothing
            if len(output.data) > 1 and OBJECT.fullmatch(output.data.get("text/plain", "")):
                del output.data["text/plain"]  # beside its HTML or Markdown
            output.pop("execution_count", None)
            if output.output_type == "execute_result":
                output.execution_count = None
        if len(str(output)) > MAX_OUTPUT:
            raise SystemExit(
                f"An output of {len(str(output)) // 1024} KiB is too large:\n{cell.source}"
            )
        kept.append(output)
    cell.outputs = kept
    return cell


def products(source: Path) -> Iterator[tuple[Path, NotebookNode]]:
    """(path, notebook) of everything that a source gives, without outputs."""
    book = solution(source)
    yield SOURCES.parent / "solutions" / f"{source.stem}.ipynb", book
    yield SOURCES.parent / f"{source.stem}.ipynb", student(book)


def inputs(book: NotebookNode) -> list[tuple[str, str, str]]:
    """What a reader types: type, id and text of each cell."""
    return [(c.cell_type, c.id, c.source) for c in book.cells]


def write(path: Path, book: NotebookNode) -> None:
    """Write one notebook, if it is small enough to live in a repository."""
    text = nbformat.writes(book) + "\n"
    if len(text) > MAX_NOTEBOOK:
        raise SystemExit(
            f"{path.name} has {len(text) // 1024} KiB; {MAX_NOTEBOOK // 1024} are allowed."
        )
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def stale() -> list[Path]:
    """Built notebooks that are missing, do not match their source, or have no source."""
    expected = {path: book for source in sources() for path, book in products(source)}
    built = {*SOURCES.parent.glob("*.ipynb"), *(SOURCES.parent / "solutions").glob("*.ipynb")}
    out = [path for path in built if path not in expected]
    for path, book in expected.items():
        if path not in built or inputs(nbformat.read(path, as_version=4)) != inputs(book):
            out.append(path)
    return sorted(out)


def keep_outputs(path: Path, book: NotebookNode) -> None:
    """Carry over the outputs of cells whose text has not changed, wherever they now stand."""
    if path.exists():
        old: dict[str, list[NotebookNode]] = {}
        for cell in nbformat.read(path, as_version=4).cells:
            old.setdefault(cell.source, []).append(cell)
        for cell in book.cells:
            if cell.cell_type == "code" and old.get(cell.source):
                cell.outputs = old[cell.source].pop(0).get("outputs", [])
        book.cells = [clean(cell) for cell in book.cells]


def main() -> None:
    """Build, execute or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--execute", action="store_true", help="run every solution, keep its outputs"
    )
    parser.add_argument("--check", action="store_true", help="fail where a built notebook is stale")
    parser.add_argument("names", nargs="*", help="beginnings of file names, for example 00 01")
    args = parser.parse_args()
    if args.check:
        outdated = stale()
        for path in outdated:
            print(f"stale: {path.relative_to(ROOT)}; run: python tools/build_notebooks.py")
        sys.exit(1 if outdated else print(f"{len(sources())} notebooks match their sources."))
    for source in sources():
        if args.names and not source.stem.startswith(tuple(args.names)):
            continue
        (solved, book), (plain, _) = products(source)
        if args.execute:
            book = execute(book, source.stem)
        else:
            keep_outputs(solved, book)
        write(solved, book)
        write(plain, student(book))


if __name__ == "__main__":
    main()
