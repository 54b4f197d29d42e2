"""The start on Colab and Binder, as far as it can be tested without them."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest
import yaml

from tools import build_notebooks, online

ADDRESS = "https://github.com/someone/their-copy"


@pytest.fixture
def ran(monkeypatch):
    """What the cell would have run, and where it went."""
    done = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: done.append(command))
    monkeypatch.setattr(os, "chdir", done.append)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for name in [n for n in sys.modules if n.split(".")[0] == "google"]:
        monkeypatch.delitem(sys.modules, name)
    return done


def loaded(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, types.ModuleType(name))


def test_on_colab_the_cell_fetches_installs_and_goes_there(ran, monkeypatch):
    loaded(monkeypatch, "google.colab")
    exec(online.colab_cell(ADDRESS), {})
    fetch, install, place = ran
    assert fetch == ["git", "clone", "-q", "--depth", "1", ADDRESS, "/content/msam"]
    assert install == [sys.executable, "-m", "pip", "install", "-q", "-e", "/content/msam"]
    assert place == "/content/msam/notebooks" and sys.path[0] == "/content/msam"


def test_on_colab_a_second_run_only_goes_there(ran, monkeypatch):
    loaded(monkeypatch, "google.colab")
    monkeypatch.setattr(os.path, "isdir", lambda path: True)
    exec(online.colab_cell(ADDRESS), {})
    assert ran == ["/content/msam/notebooks"]


@pytest.mark.parametrize("there", ["", "google", "google.protobuf"])
def test_anywhere_else_the_cell_does_nothing(ran, monkeypatch, there):
    if there:
        loaded(monkeypatch, there)
    path = sys.path.copy()
    exec(online.colab_cell(ADDRESS), {})
    assert ran == [] and sys.path == path


def test_binder_opens_the_first_notebook_in_the_environment_of_the_root():
    address = online.binder_address(ADDRESS)
    assert address == (
        "https://mybinder.org/v2/gh/someone/their-copy/main"
        "?urlpath=lab/tree/notebooks/00_start_here.ipynb"
    )
    assert (build_notebooks.ROOT / online.FIRST).exists()
    content = yaml.safe_load((build_notebooks.ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    assert any(line.startswith("jupyterlab==") for line in pip) and "-e ." in pip


def test_the_page_says_where_it_cannot_be_opened_and_links_where_it_can(tmp_path):
    source = build_notebooks.ROOT / "book" / "online.md"
    for address in ("", ADDRESS):
        page = tmp_path / "online.md"
        page.write_text(source.read_text("utf-8"), "utf-8")
        online.fill(page, address)
        text = page.read_text("utf-8")
        assert online.colab_cell(address or online.EXAMPLE) in text and "{state}" not in text
        assert ("](https://colab.research.google.com/github/someone" in text) == bool(address)
        assert ("no public address" in text) != bool(address)


def test_the_cell_is_in_notebook_00_alone_and_only_once_there_is_an_address(monkeypatch):
    first, second = build_notebooks.sources()[:2]
    before = build_notebooks.solution(first)
    assert bool(online.REPOSITORY) == any("google.colab" in c.source for c in before.cells)
    monkeypatch.setattr(online, "REPOSITORY", ADDRESS)
    book = build_notebooks.solution(first)
    assert book.cells[1].source == online.colab_cell(ADDRESS)
    assert "google.colab" in build_notebooks.student(book).cells[1].source
    assert not [c for c in build_notebooks.solution(second).cells if "google.colab" in c.source]
