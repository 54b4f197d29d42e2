"""Each wall of the house falls when it is broken: the contracts of pyproject.toml are real."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BROKEN = {  # contract: (module, a line that breaks it)
    "The compute tower": ("methods/sam.py", "from msam_lib.training import evaluate"),
    "The show tower:": ("results/frame.py", "from msam_lib.plots import style"),
    "The show tower reads frozen files": ("plots/style.py", "import torch"),
    "Nothing imports the command line": (
        "interactive/course.py",
        "from msam_lib.cli.options import chosen",
    ),
    "No import circles": ("methods/base.py", "from msam_lib.methods.sam import SAM"),
    "A module named _something": (
        "training/trainer.py",
        "from msam_lib.methods._gradients import backward",
    ),
}


@pytest.fixture
def house(tmp_path):
    """A copy of the package, its contracts and the tool they use."""
    keep = shutil.ignore_patterns("__pycache__", "embedded", "tuned")
    for folder in ("msam_lib", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=keep)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command as c; c()"
    options = ["--no-cache", "--no-logo"]
    return subprocess.run(
        [sys.executable, "-c", command, *options],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def verdicts(output: str) -> dict[str, bool]:
    """{contract: whether it was kept} of the linter's list."""
    lines = [line.strip() for line in output.splitlines()]
    ends = {"KEPT": True, "BROKEN": False}
    return {
        line.removesuffix(end).strip(): kept
        for line in lines
        for end, kept in ends.items()
        if line.endswith(end)
    }


def test_every_wall_stands(house):
    found = lint(house)
    assert found.returncode == 0, found.stdout
    assert len(verdicts(found.stdout)) == len(BROKEN)


@pytest.mark.parametrize("wall", BROKEN)
def test_a_broken_wall_is_seen(house, wall):
    name, line = BROKEN[wall]
    path = house / "msam_lib" / name
    text = path.read_text(encoding="utf-8")
    mark = "from __future__ import annotations\n"
    assert mark in text
    path.write_text(text.replace(mark, f"{mark}\n{line}\n", 1), encoding="utf-8")
    found = lint(house)
    assert found.returncode != 0
    (kept,) = [kept for name, kept in verdicts(found.stdout).items() if name.startswith(wall)]
    assert not kept, found.stdout


def test_a_new_room_has_to_find_its_place(house):
    (house / "msam_lib" / "cellar").mkdir()
    (house / "msam_lib" / "cellar" / "__init__.py").write_text("")
    found = lint(house)
    assert found.returncode != 0 and "cellar" in found.stdout


def test_imports_inside_functions_are_for_the_command_line_and_lazy_packages():
    hidden = []
    for path in sorted((ROOT / "msam_lib").rglob("*.py")):
        name = path.relative_to(ROOT / "msam_lib").as_posix()
        if name.startswith("cli/"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split()
            if words[:1] in (["from"], ["import"]) and words[1].startswith("msam_lib"):
                inside = line.startswith(" ")
                hidden += [f"{name}:{number}"] if inside else []
    assert hidden == []
