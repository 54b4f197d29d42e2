"""What README and pages promise: their Python runs, commands exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from msam_lib.catalogue import METHODS
from msam_lib.cli.main import parser
from msam_lib.figures import race
from msam_lib.figures.claims_list import CLAIMS
from msam_lib.results.frozen import load

ROOT = Path(__file__).resolve().parent.parent
PAGES = {p: p.read_text(encoding="utf-8") for p in (ROOT / "README.md", *ROOT.glob("book/*.md"))}
TEXT = PAGES[ROOT / "README.md"]
BLOCKS = [b for t in PAGES.values() for b in re.findall(r"```(\w*)\n(.*?)```", t, re.DOTALL)]
COMMANDS = [
    line.partition("#")[0].strip()
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("python -m msam_lib")
]


@pytest.mark.parametrize("code", [block for kind, block in BLOCKS if kind == "python"])
def test_the_python_example_runs(code, capsys):
    exec(compile(code.replace("epochs=3", "epochs=1"), "README.md", "exec"), {})
    assert "audio" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command):
    parser().parse_args(shlex.split(command)[3:])


def test_the_diff_trains_a_users_module():
    """The added lines of the diff, in a loop over a user's data."""
    (diff,) = [block for language, block in BLOCKS if language == "diff"]
    lines = [line[1:] for line in diff.splitlines() if not line.startswith("-")]
    added = [x for x in diff.splitlines() if x.startswith("+") and len(x) > 1]
    assert len(added) == 5

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(4, 3), torch.nn.Linear(5, 3)

        def forward(self, audio, visual):
            return self.a(audio) + self.b(visual)

    net = Net()
    before = net.a.weight.detach().clone()
    batch = (torch.randn(8, 4), torch.randn(8, 5), torch.randint(3, (8,)))
    scope = {
        "model": net,
        "optimizer": torch.optim.SGD(net.parameters(), lr=0.1),
        "loader": [batch] * 3,
        "F": F,
    }
    exec("\n".join(lines), scope)
    assert not torch.equal(net.a.weight, before)
    assert set(scope["logs"]) == {"loss", "share/audio", "share/visual"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_lead_somewhere(page):
    # Pages that the site makes, and notebooks as the site names them.
    made = ("changelog.md", "agreement.md", "claims.md", "figures.md")
    made += ("methods/", "datasets/", "api/")
    for target in re.findall(r"\]\(([^)#]+)\)", PAGES[page]):
        if not target.startswith(("http", *made)):
            assert (page.parent / target).exists(), target


def test_every_notebook_is_listed():
    listed = PAGES[ROOT / "book" / "notebooks.md"]
    for source in (ROOT / "notebooks" / "_src").glob("[0-9]*.py"):
        assert f"notebooks/{source.stem}.ipynb" in listed


def test_the_readme_is_short_and_every_page_of_the_site_is_in_its_contents():
    assert len(TEXT.split()) <= 900
    contents = PAGES[ROOT / "book" / "index.md"]
    for page in PAGES:
        if page.parent.name == "book" and page.stem != "index":
            assert re.search(rf"^{page.stem}$", contents, re.MULTILINE), page.stem


def test_the_readme_counts_right():
    assert f"{len(METHODS) - 1} other methods" in TEXT.replace("\n", " ")
    assert f"All {len(CLAIMS)} claims" in TEXT
    said = re.search(r"audio ends at less than (half).*under MASAM at (three quarters)", TEXT)
    frame = load("methods_avmnist")
    joint, masam = (lanes["audio"][-1] for lanes in race._curves(frame).values())
    alone = race._alone(frame)["audio"]
    assert said and 0.42 < joint / alone < 0.5
    assert masam / alone == pytest.approx(0.75, abs=0.03)


def test_nothing_is_left_to_fill_in():
    assert not re.search(r"[A-Z]{4,}_HERE", TEXT)
