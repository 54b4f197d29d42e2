"""`surfaces`: the loss surfaces that answer to the Figure 1 of the paper, from training to file."""

from __future__ import annotations

import argparse
from typing import Annotated

from msam_lib._utils.options import Range
from msam_lib._utils.settings import Seed
from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.cli.options import Commands, add_frozen, allowed, workers
from msam_lib.labels import parse_case


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser(
        "surfaces", help="train with the tuned values, freeze loss surfaces (paper, Figure 1)"
    )
    p.add_argument("dataset", nargs="?", default=DEFAULT_DATASET)
    p.add_argument("--fusion", default="late")
    p.add_argument(
        "--methods",
        nargs="+",
        default=["agm", "sam", "msam"],
        metavar="METHOD[:OPTION=VALUE,...]",
        help="agm sam msam by default, as in the paper",
    )
    p.add_argument(
        "--seeds",
        nargs="+",
        type=allowed(Seed),
        default=[0, 1, 2, 3, 4],
        help="0 to 4 by default; the surfaces are those of the first, the rise is that of all",
    )
    p.add_argument(
        "--steps",
        type=allowed(Annotated[int, Range(3)]),
        default=51,
        help="points per axis (51)",
    )
    add_frozen(p)
    p.set_defaults(run=_surfaces)


def _surfaces(args: argparse.Namespace) -> None:
    from msam_lib.experiments.comparison import methods_plan
    from msam_lib.experiments.freeze.landscapes import measure_surfaces

    wanted = [parse_case(text) for text in args.methods]
    plan = methods_plan(args.dataset, [args.fusion], wanted, preset=args.preset, seeds=args.seeds)
    path = measure_surfaces(
        plan,
        f"surfaces_{args.fusion}_{args.dataset}",
        steps=args.steps,
        store=args.store,
        folder=args.out,
        **workers(args),
    )
    print(f"frozen: {path}")
