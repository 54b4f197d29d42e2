"""`train` and `compare`: one experiment, or several methods x seeds."""

from __future__ import annotations

import argparse

from msam_lib._utils.settings import Seed
from msam_lib.cli.options import (
    Commands,
    add_experiment,
    add_workers,
    allowed,
    experiments_of,
    preset_experiment,
    workers,
)


def add_parsers(commands: Commands) -> None:
    """Add both commands with their options."""
    p = commands.add_parser(
        "train", help="train one experiment, or resume it (works under torchrun)"
    )
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
    add_workers(p)
    p.add_argument("--format", choices=["md", "csv", "tex", "html"], default="md")
    add_experiment(p, without=("method", "method_options", "seed"))
    p.set_defaults(run=_compare)


def _train(args: argparse.Namespace) -> None:
    from msam_lib._utils.launch import process_group
    from msam_lib._utils.reproducibility import pick_device
    from msam_lib._utils.world import world
    from msam_lib.experiments.build import check_experiment, run_experiment
    from msam_lib.results.floors import counted
    from msam_lib.results.headline import headline_of

    experiment = preset_experiment(args)
    check_experiment(experiment)
    device = pick_device(experiment.device)
    with process_group(device):
        several = f", {world.size} ranks" if world.size > 1 else ""
        if world.first:
            print(f"{experiment.name} on {device}{several}")
        run, silent = run_experiment(experiment, args.store), not world.first
    if silent:
        return
    history = run.metrics()
    last = history[(history.epoch == history.epoch.max()) & (history.split == "test")]
    headline, people = headline_of(last), run.environment.get("people", {})
    for row in last[last.metric.isin([headline.metric, "contribution"])].itertuples():
        judged = row.metric == headline.metric == "accuracy" and row.modality in people
        beside = f"   people {100 * people[row.modality]:6.2f}" if judged else ""
        share = row.metric == "contribution" or headline.factor == 100
        value = f"{100 * row.value:6.2f}" if share else f"{row.value:6.3f}"
        print(f"  {row.modality:10} {row.metric:13} {value}{beside}")
    for value in last[last.metric == headline.floor_metric].value:
        print(f"  {'floor':10} {headline.metric:13} {headline.text(value, unit=False):>6}"
              f"   ({headline.floor})")  # fmt: skip
    print(f"  ({headline.words} {headline.unit}, {headline.better}; contributions in percent)")
    if labels := counted(last.assign(dataset=experiment.dataset)):
        print(f"  {labels}")
    print(f"kept in {run.path}")


def _compare(args: argparse.Namespace) -> int:
    from msam_lib.experiments.measurements import collect
    from msam_lib.experiments.runner import run_all
    from msam_lib.plots.results_table import results_table

    experiments = experiments_of(args)
    where = workers(args)
    # In this process, with a bar for every run, unless something else is asked for.
    if args.jobs is None and args.on == "local":
        where["jobs"] = 1
    runs = run_all(experiments, args.store, **where)
    print(results_table(collect(runs)).to(args.format))
    return 0 if len(runs) == len(experiments) else 1
