"""Modality dominance in multimodal learning: list, prepare, train, compare, tune, measure, repair,
freeze, draw.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from msam_lib._utils.launch import launched
from msam_lib.cli import (
    comparison,
    diagnose,
    encoders,
    figures,
    listing,
    prepare,
    repair,
    surfaces,
    train,
    tune,
)
from msam_lib.errors import MsamError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}. `{self.prog} --help` explains.\n")


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    top = Parser(prog="python -m msam_lib", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    rooms = (listing, prepare, train, tune, comparison, encoders, diagnose, surfaces, repair)
    for command in (*rooms, figures):
        command.add_parsers(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 (something failed), 2 (wrong use) or 130
    (interrupted).
    """
    args = parser().parse_args(arguments)
    try:
        # The launcher's processes train one model together; they would get in each other's way
        # with any other command.
        if launched() > 1 and args.command != "train":
            raise MsamError(
                f"`{args.command}` was started by torchrun as {launched()} "
                "processes; only `train` works on several ranks. "
                f"Start it as python -m msam_lib {args.command}."
            )
        return args.run(args) or 0
    except MsamError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command resumes from the last finished epoch.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `... | head`
        return 0
