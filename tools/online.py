"""Starting without installing anything: the first cell for Colab, the address for Binder.

Both need an address at which the repository is published. There is none yet: once there is, it goes
into `REPOSITORY`, and the builders put the cell into notebook 00 and the links on the site's page.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

REPOSITORY = ""  # https://github.com/OWNER/NAME
EXAMPLE = "https://github.com/OWNER/NAME"  # stands on the page until then
FIRST = "notebooks/00_start_here.ipynb"


def colab_cell(repository: str) -> str:
    """A cell that acts on Colab only: fetches and installs the collection, and goes to it.

    Without the constraints, so that Colab keeps the torch that it has. The running kernel learns of
    an editable package by its path, and finds the frozen results beside it.
    """
    return f"""# On Google Colab: fetch and install the collection. Elsewhere it does nothing.
import os
import subprocess
import sys

if "google.colab" in sys.modules:
    place = "/content/msam"
    if not os.path.isdir(place):
        fetch = ["git", "clone", "-q", "--depth", "1", "{repository}", place]
        subprocess.run(fetch, check=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-e", place], check=True)
    sys.path.insert(0, place)
    os.chdir(place + "/notebooks")"""


def colab_address(repository: str) -> str:
    """Where Colab opens notebook 00 of a repository on GitHub."""
    _, _, name = repository.partition("github.com/")
    return f"https://colab.research.google.com/github/{name}/blob/main/{FIRST}"


def binder_address(repository: str) -> str:
    """Where Binder builds `environment.yml` of a repository on GitHub and opens notebook 00."""
    _, _, name = repository.partition("github.com/")
    return f"https://mybinder.org/v2/gh/{name}/main?urlpath={quote(f'lab/tree/{FIRST}')}"


def fill(path: Path, repository: str = REPOSITORY) -> None:
    """Put cell and addresses into the page."""
    state = (
        f"Open [notebook 00 on Colab]({colab_address(repository)}) or "
        f"[all of it on Binder]({binder_address(repository)})."
        if repository
        else "This collection has no public address yet, so neither link works today; `OWNER/NAME` "
        "below stands for the address of your copy."
    )
    text = path.read_text(encoding="utf-8").replace("{state}", state)
    at = repository or EXAMPLE
    for name, value in {
        "{cell}": colab_cell(at),
        "{colab}": colab_address(at),
        "{binder}": binder_address(at),
    }.items():
        text = text.replace(name, value)
    path.write_text(text, encoding="utf-8")
