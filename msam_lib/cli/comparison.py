"""`python -m msam_lib comparison`: every method on a data set, with its tuned values."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from msam_lib._utils.settings import Seed
from msam_lib.cli.options import Commands, add_store, add_workers, allowed, folder, workers
from msam_lib.errors import MsamError
from msam_lib.labels import parse_case


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser(
        "comparison", help="run all methods that apply with the tuned values, freeze the results"
    )
    p.add_argument("dataset")
    p.add_argument("--fusions", nargs="+", default=["late", "maxout"], metavar="FUSION")
    p.add_argument("--methods", nargs="+", metavar="METHOD[:OPTION=VALUE,...]", help="only these")
    p.add_argument("--seeds", nargs="+", type=allowed(Seed), default=[0, 1, 2])
    p.add_argument("--preset", default="teach", help="smoke, teach (default) or paper")
    add_workers(p)
    add_store(p)
    p.add_argument("--out", type=folder, default=Path("figures/data"), help="of the frozen results")
    what = ("methods", "noise", "ablation")
    p.add_argument("--what", choices=what, default="methods", help="all methods (default), or ...")
    p.add_argument("--frozen-only", action="store_true", help="train nothing, freeze what is there")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Train (or resume) every run and freeze the finished ones as `<what>_<dataset>`."""
    from msam_lib.experiments.comparison import ablation_plan, methods_plan, noise_plan
    from msam_lib.experiments.freeze.whole_comparison import measure_comparison

    same = {"seeds": args.seeds, "preset": args.preset}
    if args.what == "methods":
        wanted = [parse_case(text) for text in args.methods] if args.methods else None
        plan = methods_plan(args.dataset, args.fusions, wanted, **same)
    else:
        make = {"noise": noise_plan, "ablation": ablation_plan}[args.what]
        plan = make(args.dataset, **same)
    status = 0
    for result in measure_comparison(
        plan,
        f"{args.what}_{args.dataset}",
        store=args.store,
        folder=args.out,
        train=not args.frozen_only,
        **workers(args),
    ):
        if isinstance(result, MsamError):
            print(result, file=sys.stderr)
            status = 1
        else:
            print(f"frozen: {result}")
    return status
