"""Every data set has a page, and what it says is what the library loads and the tables hold."""

from __future__ import annotations

import os
import re
import shlex

import pandas as pd
import pytest

from msam_lib.catalogue import DATASETS
from msam_lib.cli.main import parser
from msam_lib.data import load_dataset
from msam_lib.errors import MsamError
from tools import build_book, dataset_facts, dataset_pages

SECTIONS = ("Shapes and sizes", "Source and licence", "How to get it", "Options")
SECTIONS += ("What was measured on it", "Caveats")
HERE = dataset_facts.EMBEDDED + (dataset_facts.DOWNLOADED if "MSAM_DATA" in os.environ else ())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("site") / "datasets"
    dataset_pages.datasets(made)
    return made


@pytest.fixture(scope="module")
def pages(folder):
    """{data set: its page}"""
    return {path.stem: path.read_text("utf-8") for path in folder.glob("*.md")}


def section(page, title):
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_data_set_is_in_one_group_has_a_page_and_stands_in_the_list(pages):
    grouped = [name for names in dataset_facts.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(DATASETS) == sorted({*pages} - {"index"})
    for name, row in DATASETS.items():
        assert f"| [{name}]({name}.md)" in pages["index"] and f"\n{name}\n" in pages["index"]
        assert row.summary in pages["index"]


@pytest.mark.parametrize("name", DATASETS)
def test_a_page_has_every_section_and_every_option(name, pages):
    page = pages[name]
    assert page.startswith(f"# {name}\n\n**") and len(page.split("\n## ")[0].split()) > 20
    assert all(section(page, title).strip() for title in SECTIONS)
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", section(page, "Options"), re.MULTILINE)
    meanings = {option: meaning for option, meaning, _ in rows}
    assert DATASETS[name].options.items() <= meanings.items()
    assert {"seed", "label_noise", "modalities"} < set(meanings)
    assert not [allowed for *_, allowed in rows if "(" in allowed]  # that is the default's place
    assert "* " in section(page, "Caveats")


@pytest.mark.parametrize("name", HERE)
def test_sizes_are_those_of_what_is_loaded(name, pages):
    known = dataset_facts.facts()[name]
    assert dataset_facts.measure(name) == {k: v for k, v in known.items() if k != "alt"}
    shapes = section(pages[name], "Shapes and sizes")
    for m, (_, shape) in known["modalities"].items():
        assert re.search(rf"^\| `{m}` \| .+ \| {' × '.join(map(str, shape))} \|$", shapes, re.M)


@pytest.mark.parametrize("name", [n for n, row in DATASETS.items() if row.prepare])
def test_a_prepared_sets_page_names_its_modalities(name, pages):
    with pytest.raises(MsamError) as refused:
        load_dataset(name, modalities=["nothing"])
    there = re.findall(r"\w+", str(refused.value).rpartition(":")[2].partition(".")[0])
    assert len(there) > 1
    first = section(pages[name], "Shapes and sizes").split("\n\n")[0]
    assert [m for m in there if m not in first] == []


def test_headline_numbers_are_those_of_the_frozen_results(pages):
    seen = 0
    for path in sorted(dataset_pages.FIGURES.glob("table_methods_*_*.csv")):
        fusion, name = re.fullmatch(r"table_methods_([a-z]+)_(\w+)", path.stem).groups()
        frame = pd.read_csv(path).set_index("method")
        measured = section(pages[name], "What was measured on it")
        part = measured.partition(f"**Fusion `{fusion}`**")[2].partition("**Fusion")[0]
        rows = [[c.strip() for c in x.split("|")[1:-1]] for x in part.splitlines() if x[:1] == "|"]
        columns, shown = rows[0][1:], {cells[0]: cells[1:] for cells in rows[2:]}
        trained = frame[~frame.index.str.contains("Unimodal|Floor")]
        best = trained["fused mean"].idxmax()
        expected = {"each modality by itself": "Unimodal", "joint training": "Joint training"}
        expected |= {f"highest fused: {best}": best}
        assert set(shown) == {words for words, m in expected.items() if m in frame.index}
        for words, cells in shown.items():
            for column, cell in zip(columns, cells, strict=True):
                mean, half = (float(x) for x in cell.split(" ± "))
                row = frame.loc[expected[words]]
                assert mean == pytest.approx(row[f"{column} mean"], abs=0.051)
                assert half == pytest.approx(row[f"{column} half-width"], abs=0.051)
        assert f"over {int(frame.loc[best, 'fused n'])} seeds, {len(trained)} methods" in part
        seen += 1
    assert seen >= 9


def test_commands_are_understood_and_only_what_is_prepared_has_that_command(pages):
    for name, row in DATASETS.items():
        commands = re.findall(r"^python -m msam_lib (.+)$", pages[name], re.MULTILINE)
        for command in commands:
            parser().parse_args(shlex.split(command.partition("#")[0]))
        prepared = [c for c in commands if c.startswith(f"prepare {name} ")]
        assert len(prepared) == bool(row.prepare) and f"train --dataset {name}" in str(commands)


def test_pictures_are_there_and_in_words(folder, pages):
    for name in (*dataset_facts.EMBEDDED, *dataset_facts.STORED):
        path, alt = re.search(r"\{figure\} (\S+)\n:alt: (.+)\n", pages[name]).groups()
        static = build_book.ROOT / "book" / path.removeprefix("../")
        assert (static if path.startswith("../") else folder / path).stat().st_size < 150_000
        assert alt.count(",") > 1


def test_downloaded_files_are_named_with_their_digests(pages):
    for name in dataset_facts.DOWNLOADED:
        files = dataset_facts.files_of(name)
        assert files and all(f"| `{f.path}` | `" in pages[name] for f in files)
        assert all((f.members_sha256 or f.sha256)[:12] in pages[name] for f in files)


def test_links_lead_to_pages_and_headings(folder, tmp_path, pages):
    from tools.build_book import _figures

    source = tmp_path / "source"
    (source / "figures").mkdir(parents=True)
    _figures(source)
    heads = re.findall(r"^## (.+)$", (source / "figures.md").read_text("utf-8"), re.MULTILINE)
    known = {re.sub(r"[^\w\s-]", "", h.lower()).replace(" ", "-") for h in heads}
    found = 0
    for page in pages.values():
        for target in re.findall(r"\]\(([^)]+)\)", page):
            if target.startswith("../figures.md#"):
                assert target.partition("#")[2] in known
                found += 1
            elif not target.startswith("../"):
                assert (folder / target).exists(), target
    assert found > 20
