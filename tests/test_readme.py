"""What the README promises: its Python runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from msam_lib.cli.main import parser

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    line.partition("#")[0].strip()
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("python -m msam_lib")
]


def test_the_python_example_runs(capsys):
    (code,) = [block for language, block in BLOCKS if language == "python"]
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


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_every_notebook_is_in_the_table():
    for source in (ROOT / "notebooks" / "_src").glob("[0-9]*.py"):
        assert f"notebooks/{source.stem}.ipynb" in TEXT


def test_nothing_is_left_to_fill_in():
    assert not re.search(r"[A-Z]{4,}_HERE", TEXT)
