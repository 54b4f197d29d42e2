"""`python -m msam_lib comparison`: every method on a data set, with its tuned values."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msam_lib.cli.options import Commands, add_store
from msam_lib.errors import MsamError
from msam_lib.labels import parse_case

if TYPE_CHECKING:
    from msam_lib.experiments.comparison import PlannedRow


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser(
        "comparison", help="run all methods that apply with the tuned values, freeze the results"
    )
    p.add_argument("dataset")
    p.add_argument("--fusions", nargs="+", default=["late", "maxout"], metavar="FUSION")
    p.add_argument("--methods", nargs="+", metavar="METHOD[:OPTION=VALUE,...]", help="only these")
    p.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    p.add_argument("--preset", default="teach", help="smoke, teach (default) or paper")
    p.add_argument("--jobs", type=int, help="processes (one per core)")
    add_store(p)
    p.add_argument("--out", type=Path, default=Path("figures/data"), help="of the frozen results")
    what = ("methods", "noise", "ablation")
    p.add_argument("--what", choices=what, default="methods", help="all methods (default), or ...")
    p.add_argument("--frozen-only", action="store_true", help="train nothing, freeze what is there")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    """Train (or resume) every run and freeze the finished ones as `<what>_<dataset>`."""
    from msam_lib.experiments.comparison import ablation_plan, noise_plan
    from msam_lib.experiments.freeze.comparison import freeze_comparison, summarise
    from msam_lib.experiments.freeze.search import freeze_search
    from msam_lib.experiments.runner import run_all
    from msam_lib.training.runs import default_store

    if args.what == "methods":
        plan = _methods(args)
    else:
        make = {"noise": noise_plan, "ablation": ablation_plan}[args.what]
        plan = make(args.dataset, seeds=args.seeds, preset=args.preset)
    # Train what is missing, then freeze what has finished.
    store = default_store() if args.store is None else args.store
    status = 0
    if not args.frozen_only:
        try:
            run_all([e for row in plan for e in row.experiments], store, jobs=args.jobs)
        except MsamError as error:  # the runs that finished are frozen all the same
            print(error, file=sys.stderr)
            status = 1
    written = freeze_comparison(plan, f"{args.what}_{args.dataset}", store, args.out)
    print(f"frozen in {written}")
    if args.what == "methods":
        print(f"all comparisons in {summarise(args.out)}")
        print(f"the search behind them in {freeze_search(args.out)}")
    return status


def _methods(args: argparse.Namespace) -> list[PlannedRow]:
    """The plan of the comparison of all methods, or of those that were named."""
    from msam_lib.experiments.build import load_data
    from msam_lib.experiments.comparison import cases, plan_rows
    from msam_lib.experiments.experiment import Experiment

    data = load_data(Experiment.preset(args.preset, dataset=args.dataset))
    plan: list[PlannedRow] = []
    for fusion in args.fusions:
        rows = cases(len(data.modalities), fusion)
        if args.methods:
            wanted = [parse_case(text) for text in args.methods]
            rows = [r for r in rows if r in wanted]
        plan += plan_rows(args.dataset, fusion, rows, seeds=args.seeds, preset=args.preset)
    return plan
