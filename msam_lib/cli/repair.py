"""`repair`: bring damaged runs back to their last whole epoch."""

from __future__ import annotations

import argparse
from pathlib import Path

from msam_lib.cli.options import Commands


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser("repair", help="bring damaged runs back to their last whole epoch")
    p.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run directories")
    p.set_defaults(run=_repair)


def _repair(args: argparse.Namespace) -> None:
    from msam_lib.training import Run, repair

    for path in args.runs:
        run = Run(path)
        lines = repair(run) or ["Nothing is damaged."]
        print("\n  ".join([f"{run.name}:", *lines]))
