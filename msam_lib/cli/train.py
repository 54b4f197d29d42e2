"""`train` and `compare`: one experiment, or several methods x seeds."""

from __future__ import annotations

import argparse

from msam_lib._utils.options import Count
from msam_lib._utils.settings import Seed
from msam_lib.cli.options import (
    Commands,
    add_experiment,
    allowed,
    experiments_of,
    preset_experiment,
)


def add_parsers(commands: Commands) -> None:
    """Add both commands with their options."""
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
    p.add_argument("--seeds", nargs="+", type=allowed(Seed), default=[0, 1, 2])
    p.add_argument("--jobs", type=allowed(Count), default=1, help="processes; each takes one core")
    p.add_argument("--format", choices=["md", "csv", "tex", "html"], default="md")
    add_experiment(p, without=("method", "method_options", "seed"))
    p.set_defaults(run=_compare)


def _train(args: argparse.Namespace) -> None:
    from msam_lib._utils.reproducibility import pick_device
    from msam_lib.experiments.build import check_experiment, run_experiment

    experiment = preset_experiment(args)
    check_experiment(experiment)
    print(f"{experiment.name} on {pick_device(experiment.device)}")
    run = run_experiment(experiment, args.store)
    history = run.metrics()
    last = history[(history.epoch == history.epoch.max()) & (history.split == "test")]
    for row in last[last.metric.isin(["accuracy", "contribution"])].itertuples():
        print(f"  {row.modality:10} {row.metric:13} {100 * row.value:6.2f} %")
    print(f"kept in {run.path}")


def _compare(args: argparse.Namespace) -> int:
    from msam_lib.experiments.measurements import collect
    from msam_lib.experiments.runner import run_all
    from msam_lib.plots.results_table import results_table

    experiments = experiments_of(args)
    runs = run_all(experiments, args.store, jobs=args.jobs)
    print(results_table(collect(runs)).to(args.format))
    return 0 if len(runs) == len(experiments) else 1
