"""`encoders`: what is inside each encoder after training with the tuned values."""

from __future__ import annotations

import argparse

from msam_lib._utils.settings import Seed
from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.cli.options import Commands, add_frozen, allowed, workers
from msam_lib.labels import parse_case

METHODS = ("joint", "sam", "msam", "masam", "joint_unimodal")


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser(
        "encoders", help="train with the tuned values, freeze curvature, probes and margins"
    )
    p.add_argument("dataset", nargs="?", default=DEFAULT_DATASET)
    p.add_argument(
        "--methods",
        nargs="+",
        default=METHODS,
        metavar="METHOD[:OPTION=VALUE,...]",
        help=f"{' '.join(METHODS)} by default",
    )
    p.add_argument("--seeds", nargs="+", type=allowed(Seed), help="0 to 9 by default")
    add_frozen(p)
    p.set_defaults(run=_encoders)


def _encoders(args: argparse.Namespace) -> None:
    from msam_lib.experiments.comparison import SEEDS, methods_plan
    from msam_lib.experiments.freeze.encoders import measure_encoders

    wanted = [parse_case(text) for text in args.methods]
    seeds = args.seeds or SEEDS
    plan = methods_plan(args.dataset, ["late"], wanted, preset=args.preset, seeds=seeds)
    path = measure_encoders(
        plan, f"encoders_{args.dataset}", store=args.store, folder=args.out, **workers(args)
    )
    print(f"frozen: {path}")
