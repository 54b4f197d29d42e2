"""The interactive parts of the site as fragments of HTML that need nothing but the files beside
them: no kernel, no network, no other package.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from msam_lib.interactive.viewer import STATIC as SHARED
from msam_lib.interactive.viewer import fragment
from tools.explore_data import PARTS

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "book" / "_static"
DATA = ROOT / "figures" / "data"
SCRIPTS = ("explore.js", *(f"explore_{name}.js" for name in PARTS))  # the shared one first


def copy_static(folder: Path) -> None:
    """All that the pages load beside themselves: of the site, and what notebooks use as well."""
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    shutil.copytree(SHARED, folder, dirs_exist_ok=True)


def scripts(folder: str) -> str:
    """The tags that load the scripts from a folder, in their order."""
    return "\n".join(f'<script defer src="{folder}/{name}"></script>' for name in SCRIPTS)


def fill(page: Path) -> None:
    """Put parts and scripts where the page names them, `{part NAME}` and `{scripts}`."""

    def raw(content: str) -> str:
        return f"```{{raw}} html\n{content}\n```"

    def put(found: re.Match[str]) -> str:
        return raw(fragment(found[1], PARTS[found[1]](DATA)))

    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^\{part (\w+)\}$", put, text, flags=re.MULTILINE)
    text = text.replace("{scripts}", raw(scripts("_static")))
    page.write_text(text, encoding="utf-8")
