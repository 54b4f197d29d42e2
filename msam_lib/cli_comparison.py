"""`python -m msam_lib comparison`: every method on a data set, with its tuned values."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from msam_lib.cli_options import method_spec
from msam_lib.errors import MsamError


def add_parser(commands: Any) -> None:
    """The command's options."""
    p = commands.add_parser(
        "comparison", help="run all methods that apply with the tuned values, freeze the results"
    )
    p.add_argument("dataset")
    p.add_argument("--fusions", nargs="+", default=["late", "maxout"], metavar="FUSION")
    p.add_argument("--methods", nargs="+", metavar="METHOD[:OPTION=VALUE,...]", help="only these")
    p.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    p.add_argument("--preset", default="teach", help="smoke, teach (default) or paper")
    p.add_argument("--jobs", type=int, help="processes (one per core)")
    p.add_argument("--store", type=Path, help="folder of runs ($MSAM_RUNS, or runs)")
    p.add_argument("--out", type=Path, default=Path("figures/data"), help="of the frozen results")
    what = ("methods", "noise", "ablation")
    p.add_argument("--what", choices=what, default="methods", help="all methods (default), or ...")
    p.add_argument("--frozen-only", action="store_true", help="train nothing, freeze what is there")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train (or resume) every run and freeze the finished ones as `methods_<dataset>`."""
    from msam_lib.comparison import ablation_plan, freeze_comparison, noise_plan, summarise
    from msam_lib.search_results import freeze_search
    from msam_lib.suite import run_all
    from msam_lib.training.runs import default_store

    if args.what == "methods":
        plan = _methods(args)
    else:
        make = {"noise": noise_plan, "ablation": ablation_plan}[args.what]
        plan = make(args.dataset, seeds=args.seeds, preset=args.preset)
    store = default_store() if args.store is None else args.store
    status = 0
    if not args.frozen_only:
        try:
            run_all([e for several in plan.values() for e in several], store, jobs=args.jobs)
        except MsamError as error:  # what finished is frozen all the same
            print(error, file=sys.stderr)
            status = 1
    written = freeze_comparison(plan, f"{args.what}_{args.dataset}", store, args.out)
    print(f"frozen in {written}")
    if args.what == "methods":
        print(f"all comparisons in {summarise(args.out)}")
        print(f"the search behind them in {freeze_search(args.out)}")
    return status


def _methods(args: argparse.Namespace) -> dict[str, list]:
    from msam_lib.comparison import cases, experiments
    from msam_lib.config import Experiment

    data = Experiment.preset(args.preset, dataset=args.dataset).load_data()
    plan: dict[str, list] = {}
    for fusion in args.fusions:
        rows = cases(len(data.modalities), fusion)
        if args.methods:
            wanted = [method_spec(text) for text in args.methods]
            rows = [r for r in rows if r in wanted]
        made = experiments(args.dataset, fusion, rows, seeds=args.seeds, preset=args.preset)
        plan |= {f"{fusion}|{label}": several for label, several in made.items()}
    return plan
