"""The files that set the project up agree with each other, and the tree keeps its promises."""

import functools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIBRARY = sorted((ROOT / "msam_lib").rglob("*.py"))
MAX_LINES = 250

# A path that exists on one machine only: it begins at the root, in a folder that users write to.
MACHINE_PATH = re.compile(
    r"(?<![\w./:~$})-])/(?:home|Users|root|work|workspace|tmp|opt|mnt|private)/[\w.-]+"
    r"|\b[A-Z]:\\+Users\\"
)


def read(name: str) -> str:
    path = ROOT / name
    assert path.is_file(), f"{name} is missing"
    return path.read_text(encoding="utf-8")


def requirements(*lines: str) -> dict[str, Requirement]:
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def direct() -> dict[str, Requirement]:
    return requirements(*PROJECT["dependencies"])


def constraints() -> dict[str, Version]:
    """Version by name; every line is an exact version, and no name stands there twice."""
    lines = [line.strip() for line in read("constraints.txt").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    pins = {}
    for line in lines:
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([\w.]+)", line)
        assert match, f"constraints.txt: {line!r} is not an exact public version"
        name = canonicalize_name(match[1])
        assert name not in pins, f"constraints.txt: {name} twice"
        pins[name] = Version(match[2])
    return pins


def environment() -> tuple[dict, list[str]]:
    """environment.yml, and its pip section."""
    content = yaml.safe_load(read("environment.yml"))
    (pip,) = (entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))
    return content, pip


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", read("Makefile"), flags=re.MULTILINE))


def code_of(markdown: str) -> str:
    """The fenced blocks and the code spans of a Markdown text, a line each."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", markdown, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", prose)])


@functools.cache
def project_files() -> tuple[Path, ...]:
    """What git tracks or would track; all but caches and environments where there is no git."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True) if shutil.which("git") else None
    if listed and listed.returncode == 0 and listed.stdout:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        ignored = {".git", ".venv", "runs", "build", "dist", "__pycache__"}
        ignored |= {".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis"}
        paths = [p for p in ROOT.rglob("*") if not ignored & set(p.relative_to(ROOT).parts)]
    paths = [p for p in paths if p.is_file()]
    assert ROOT / "pyproject.toml" in paths
    return tuple(paths)


# --- dependencies ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(direct()))
def test_direct_dependency_is_pinned_within_its_range(name):
    assert name in constraints(), f"{name} is not in constraints.txt"
    assert constraints()[name] in direct()[name].specifier


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_extras_are_pinned_within_their_ranges(extra):
    pins = constraints()
    for name, requirement in requirements(*PROJECT["optional-dependencies"][extra]).items():
        if name == PROJECT["name"]:  # an extra made of other extras
            continue
        assert name in pins, f"{name} is not in constraints.txt"
        assert pins[name] in requirement.specifier, f"{requirement} excludes {pins[name]}"


def test_environment_has_the_direct_dependencies_in_the_pinned_versions():
    _, pip = environment()
    listed = requirements(*(line for line in pip if not line.startswith("-")))
    assert set(listed) == set(direct())
    assert {n: str(r.specifier) for n, r in listed.items()} == {
        n: f"=={constraints()[n]}" for n in listed
    }


def test_environment_installs_the_package_under_the_constraints():
    content, pip = environment()
    assert content["name"] == "msam"
    assert "pip" in content["dependencies"]
    assert "-c constraints.txt" in pip
    assert "-e ." in pip
    (python,) = (d for d in content["dependencies"] if str(d).startswith("python="))
    oldest = python.removeprefix("python=") + ".0"
    assert Version(oldest) in Requirement(f"python{PROJECT['requires-python']}").specifier


def test_every_installed_dependency_is_pinned():
    """Nothing that the installed packages ask for here is left to float."""
    from importlib.metadata import requires

    pins = constraints()
    todo = [*direct().values()]
    todo += requirements(*PROJECT["optional-dependencies"]["dev"]).values()
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        own = name == PROJECT["name"]  # an extra made of other extras
        assert own or name in pins, f"{name} is installed but not in constraints.txt"
        wanted = {"", *requirement.extras} - {extra for n, extra in seen if n == name}
        seen |= {(name, extra) for extra in wanted}
        for line in requires(name) or [] if wanted else []:
            needed = Requirement(line)
            if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in wanted):
                todo.append(needed)
    assert len(seen) > len(direct())


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert str(citation["version"]) == PROJECT["version"]
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", read("CHANGELOG.md"), re.MULTILINE)


# --- make -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_that_documents_name_exist(document):
    command = r"(?:^[ \t]*(?:\$ )?|&& *)make((?:[ \t]+[\w.=-]+)*)"
    commands = re.findall(command, code_of(read(document)), flags=re.MULTILINE)
    named = {w for words in commands for w in words.split() if "=" not in w and w[0] != "-"}
    assert named, f"{document} names no target of the Makefile"
    assert named <= make_targets(), f"no such target: {sorted(named - make_targets())}"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_help_lists_every_target():
    text = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^\s+make ([\w-]+)", text.stdout, re.MULTILINE)) == make_targets()
    assert {"figures", "test", "lab", "lint", "notebooks", "clean"} <= make_targets()


# --- the tree -------------------------------------------------------------------------------------


def test_patterns_find_what_they_look_for():
    sep, back = "/", "\\"  # written so that this file does not contain what it looks for
    found = [f"open('{sep}home/ann/x')", f"A={sep}work/main", f"`{sep}Users/ann`"]
    found += [f"C:{back}Users{back}ann", f"C:{back * 2}Users{back * 2}ann"]
    passed = ["#!/usr/bin/env bash", "https://a.org/work/x", "../home/x", "runs/tmp/x", "~/work/x"]
    assert [t for t in found if not MACHINE_PATH.search(t)] == []
    assert [t for t in passed if MACHINE_PATH.search(t)] == []


def test_no_machine_paths():
    offending = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or an archive
        offending += [f"{path.relative_to(ROOT)}: {m[0]}" for m in MACHINE_PATH.finditer(text)]
    assert offending == []


def test_library_is_there():
    assert ROOT / "msam_lib" / "__init__.py" in LIBRARY


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_library_file_is_short_and_runs_on_any_device(path):
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines <= MAX_LINES
    assert not re.search(r"\.cuda\(", text), "use `.to(device)`"


def test_library_imports_without_torch():
    code = "import msam_lib, sys; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or "`import msam_lib` imports torch"
