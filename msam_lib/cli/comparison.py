"""`comparison`: every method on a data set, with its tuned values; `evidence`: with the search."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from msam_lib._utils.settings import Seed
from msam_lib.cli.options import Commands, add_frozen, allowed, folder, workers
from msam_lib.errors import MsamError
from msam_lib.labels import parse_case


def add_parsers(commands: Commands) -> None:
    """Add both commands with their options."""
    p = commands.add_parser(
        "evidence", help="search for every method, then run and freeze the comparison"
    )
    _add_common(p)
    p.add_argument(
        "--budget", type=int, default=9, help="trials of the coarse grid: 3, 6 or 9 (default)"
    )
    p.add_argument("--choices", type=folder, help="folder of the choices (the package's own)")
    p.set_defaults(run=_evidence)

    p = commands.add_parser(
        "comparison", help="run all methods that apply with the tuned values, freeze the results"
    )
    _add_common(p)
    what = ("methods", "noise", "ablation")
    p.add_argument("--what", choices=what, default="methods", help="all methods (default), or ...")
    p.add_argument("--untuned", action="store_true", help="with the preset's values instead")
    p.add_argument("--name", help="of the frozen results (<what>_<dataset>)")
    p.add_argument("--frozen-only", action="store_true", help="train nothing, freeze what is there")
    p.set_defaults(run=_run)


def _add_common(p: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    p.add_argument(
        "dataset",
        help="a data set, or one with options or fields of a run: avmnist_mini@snr_db=-6,epochs=10",
    )
    p.add_argument("--fusions", nargs="+", default=["late", "maxout"], metavar="FUSION")
    p.add_argument("--methods", nargs="+", metavar="METHOD[:OPTION=VALUE,...]", help="only these")
    p.add_argument("--seeds", nargs="+", type=allowed(Seed), help="0 to 9 by default")
    p.add_argument(
        "--replace",
        action="store_true",
        help="drop what was frozen before; else its other methods and fusions stay",
    )
    add_frozen(p)


def _evidence(args: argparse.Namespace) -> int:
    """Search, train (or resume) every run, and freeze both."""
    from msam_lib.experiments.choices import FOLDER
    from msam_lib.experiments.comparison import SEEDS
    from msam_lib.experiments.freeze.evidence import measure_evidence

    return _report(
        measure_evidence(
            args.dataset,
            args.fusions,
            [parse_case(text) for text in args.methods] if args.methods else None,
            preset=args.preset,
            seeds=args.seeds or SEEDS,
            budget=args.budget,
            store=args.store,
            choices=args.choices or FOLDER,
            folder=args.out,
            add=not args.replace,
            **workers(args),
        )
    )


def _report(results: Iterable[Path | MsamError]) -> int:
    """Print each file as it is written, and each error; 1 where there was an error."""
    status = 0
    for result in results:
        if isinstance(result, MsamError):
            print(result, file=sys.stderr)
            status = 1
        else:
            print(f"frozen: {result}")
    return status


def _run(args: argparse.Namespace) -> int:
    """Train (or resume) every run and freeze the finished ones as `<what>_<dataset>`."""
    from msam_lib.experiments.choices import FOLDER, NONE
    from msam_lib.experiments.comparison import SEEDS, ablation_plan, methods_plan, noise_plan
    from msam_lib.experiments.freeze.whole_comparison import measure_comparison

    same = {"seeds": args.seeds or SEEDS, "preset": args.preset}
    same["folder"] = NONE if args.untuned else FOLDER
    if args.what == "methods":
        wanted = [parse_case(text) for text in args.methods] if args.methods else None
        plan = methods_plan(args.dataset, args.fusions, wanted, **same)
    else:
        make = {"noise": noise_plan, "ablation": ablation_plan}[args.what]
        plan = make(args.dataset, **same)
    return _report(
        measure_comparison(
            plan,
            args.name or f"{'untuned' if args.untuned else args.what}_{args.dataset}",
            store=args.store,
            folder=args.out,
            train=not args.frozen_only,
            add=not args.replace,
            **workers(args),
        )
    )
