"""The command line: list, train, compare, freeze, figures; options are `Experiment`'s fields."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from msam_lib.cli_comparison import add_parser as add_comparison
from msam_lib.cli_lists import LISTS
from msam_lib.cli_options import (
    add_experiment,
    chosen,
    experiments_of,
    method_spec,
    preset_experiment,
)
from msam_lib.errors import MsamError


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    top = argparse.ArgumentParser(prog="python -m msam_lib", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    p = commands.add_parser("list", help="what there is: methods, data sets, runs, ...")
    p.add_argument("what", choices=sorted(LISTS))
    p.add_argument("--json", action="store_true", help="as JSON")
    p.add_argument("--store", type=Path, help="folder of runs ($MSAM_RUNS, or runs)")
    p.set_defaults(run=_list)

    p = commands.add_parser("train", help="train one experiment, or resume it")
    add_experiment(p)
    p.set_defaults(run=_train)

    p = commands.add_parser("compare", help="train several methods x seeds, print a table")
    p.add_argument(
        "--methods",
        nargs="+",
        required=True,
        metavar="METHOD[:OPTION=VALUE,...]",
        help="for example: joint sam:rho=0.1 msam:reading=encoder,rho=0.1",
    )
    p.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    p.add_argument("--jobs", type=int, default=1, help="processes; each takes one core")
    p.add_argument("--format", choices=["md", "csv", "tex", "html"], default="md")
    add_experiment(p, without=("method", "method_options", "seed"))
    p.set_defaults(run=_compare)

    p = commands.add_parser("tune", help="choose learning rate and main option on validation data")
    p.add_argument(
        "--methods", nargs="+", metavar="METHOD[:OPTION=VALUE,...]", help="all that apply"
    )
    p.add_argument("--budget", type=int, default=9, help="trials per method: 3, 6 or 9 (default)")
    p.add_argument("--seeds", nargs="+", type=int, default=[100], help="of the trials (100)")
    p.add_argument("--jobs", type=int, help="processes (one per core)")
    p.add_argument("--out", type=Path, help="folder of the choices (msam_lib/tuned)")
    add_experiment(p, without=("method", "method_options", "seed", "lr"))
    p.set_defaults(run=_tune)

    add_comparison(commands)

    p = commands.add_parser("diagnose", help="measure curvature, landscapes, sharpness of runs")
    p.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run directories")
    p.add_argument("--what", nargs="+", default=["hessian", "landscape", "sharpness"])
    p.add_argument("--samples", type=int, default=1000, help="training samples measured (1000)")
    p.add_argument("--probes", type=int, default=30, help="random probes of the traces (30)")
    p.add_argument("--steps", type=int, default=25, help="points per axis of the planes (25)")
    p.add_argument("--seed", type=int, default=0, help="of samples, probes and directions (0)")
    p.set_defaults(run=_diagnose)

    p = commands.add_parser("freeze", help="keep the results of finished runs in one small file")
    p.add_argument("name", help="of the result, for example avmnist")
    p.add_argument("--store", type=Path, help="folder of runs ($MSAM_RUNS, or runs)")
    p.add_argument("--dataset", help="only runs on this data set")
    p.add_argument("--out", type=Path, default=Path("figures/data"))
    p.set_defaults(run=_freeze)

    p = commands.add_parser("figures", help="run the suite on the embedded data, draw everything")
    p.add_argument("names", nargs="*", help="only these figures and tables (list figures)")
    p.add_argument("--preset", default="teach", help="size of the runs: smoke, teach or paper")
    p.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    p.add_argument("--jobs", type=int, help="processes (one per core)")
    p.add_argument("--store", type=Path, help="folder of runs ($MSAM_RUNS, or runs)")
    p.add_argument("--out", type=Path, default=Path("figures"))
    group = p.add_mutually_exclusive_group()
    group.add_argument("--frozen", action="store_true", help="train nothing, draw what is stored")
    group.add_argument("--check", action="store_true", help="draw nothing: fail where one is stale")
    p.set_defaults(run=_figures)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args) or 0
    except MsamError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from the last finished epoch.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `... | head`
        return 0


def _list(args: argparse.Namespace) -> None:
    rows = LISTS[args.what](args)
    if args.json:
        print(json.dumps(rows, indent=1, default=str))
        return
    if not rows:
        print(f"No {args.what} yet.")
    for row in rows:
        name, *rest = row.values()
        shown = [v for v in rest if isinstance(v, str) and v][:3]
        print(f"{name:16} " + " · ".join(shown) if shown else name)


def _train(args: argparse.Namespace) -> None:
    from msam_lib.reproducibility import pick_device

    experiment = preset_experiment(args)
    print(f"{experiment.name} on {pick_device(experiment.device)}")
    run = experiment.run(args.store)
    history = run.metrics()
    last = history[(history.epoch == history.epoch.max()) & (history.split == "test")]
    for row in last[last.metric.isin(["accuracy", "contribution"])].itertuples():
        print(f"  {row.modality:10} {row.metric:13} {100 * row.value:6.2f} %")
    print(f"kept in {run.path}")


def _compare(args: argparse.Namespace) -> int:
    from msam_lib import results
    from msam_lib.plots.tables import results_table
    from msam_lib.suite import run_all

    experiments = experiments_of(args)
    runs = run_all(experiments, args.store, jobs=args.jobs)
    frame = results.collect(runs)
    print(results_table(frame).to(args.format))
    return 0 if len(runs) == len(experiments) else 1


def _tune(args: argparse.Namespace) -> None:
    from msam_lib.comparison import cases
    from msam_lib.tune import FOLDER, tune

    changes = chosen(args)
    dataset, fusion = changes.pop("dataset", "digits"), changes.pop("fusion", "late")
    if args.methods:
        rows = [method_spec(text) for text in args.methods]
    else:
        here = preset_experiment(args, dataset=dataset).load_data()
        rows = cases(len(here.modalities), fusion)
    found = tune(
        dataset,
        fusion,
        rows,
        preset=args.preset,
        budget=args.budget,
        seeds=args.seeds,
        store=args.store,
        folder=args.out or FOLDER,
        jobs=args.jobs,
        **changes,
    )
    for label, choice in found.items():
        options = ", ".join(f"{k}={v}" for k, v in choice["method_options"].items())
        print(f"{label:28} {100 * choice['val_accuracy']:5.1f} %  lr={choice['lr']:.4g}  {options}")


def _diagnose(args: argparse.Namespace) -> None:
    from msam_lib.diagnose import diagnose
    from msam_lib.training import Run

    options = {k: getattr(args, k) for k in ("samples", "probes", "steps", "seed")}
    for path in args.runs:
        for name, written in diagnose(Run(path), args.what, **options).items():
            print(f"{name:20} {written}")


def _freeze(args: argparse.Namespace) -> None:
    from msam_lib import results
    from msam_lib.training import list_runs

    runs = [r for r in list_runs(args.store) if r.finished]
    if args.dataset:
        runs = [r for r in runs if r.config["dataset"] == args.dataset]
    if not runs:
        raise MsamError("No finished run to freeze; see `python -m msam_lib list runs`.")
    print(f"{len(runs)} runs frozen in {results.freeze(runs, args.name, args.out)}")


def _figures(args: argparse.Namespace) -> int:
    from msam_lib import paper, results

    if not (args.frozen or args.check):
        from msam_lib.suite import run_all, suite, table_experiments

        runs = run_all(suite(args.preset, seeds=args.seeds), args.store, jobs=args.jobs)
        print(f"{len(runs)} runs frozen in {results.freeze(runs, 'digits', args.out / 'data')}")
        from msam_lib.geometry import freeze_landscapes

        traced = [r for r in runs if r.config.get("traces") and r.config["seed"] == args.seeds[0]]
        data = args.out / "data"
        print(f"{len(traced)} landscapes in {freeze_landscapes(traced, folder=data)}")
        from msam_lib.sharpness_results import freeze_sharpness

        tabled = {e.name for e in table_experiments("late", args.preset, args.seeds)}
        shown = [r for r in runs if r.name in tabled]
        jobs = args.jobs or min(4, os.cpu_count() or 1)
        print(
            f"sharpness of {len(shown)} runs in {freeze_sharpness(shown, folder=data, jobs=jobs)}"
        )
    stale = paper.build_all(args.names or None, out=args.out, check=args.check)
    if args.check:
        print("\n".join(f"stale: {n}" for n in stale) or "All figures and tables are up to date.")
        return 1 if stale else 0
    print(f"{len(stale)} figures and tables drawn in {args.out}")
    return 0


__all__ = ["chosen", "main", "parser"]
