"""`python -m msam_lib comparison`: every method on a data set, with its tuned values."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from msam_lib.cli_options import method_spec


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
    p.add_argument("--frozen-only", action="store_true", help="train nothing, freeze what is there")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Train (or resume) every run and freeze the finished ones as `methods_<dataset>`."""
    from msam_lib.comparison import cases, experiments, freeze_comparison
    from msam_lib.config import Experiment
    from msam_lib.suite import run_all
    from msam_lib.training.runs import default_store

    data = Experiment.preset(args.preset, dataset=args.dataset).load_data()
    plan = {}
    for fusion in args.fusions:
        rows = cases(len(data.modalities), fusion)
        if args.methods:
            wanted = [method_spec(text) for text in args.methods]
            rows = [r for r in rows if r in wanted]
        made = experiments(args.dataset, fusion, rows, seeds=args.seeds, preset=args.preset)
        plan |= {f"{fusion}|{label}": several for label, several in made.items()}
    store = default_store() if args.store is None else args.store
    if not args.frozen_only:
        run_all([e for several in plan.values() for e in several], store, jobs=args.jobs)
    print(f"frozen in {freeze_comparison(plan, f'methods_{args.dataset}', store, args.out)}")
