"""`tune`: choose learning rate and main option on the validation split."""

from __future__ import annotations

import argparse

from msam_lib._utils.settings import Seed
from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.cli.options import (
    Commands,
    add_experiment,
    add_workers,
    allowed,
    chosen,
    folder,
    preset_experiment,
    workers,
)
from msam_lib.labels import parse_case


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser("tune", help="choose learning rate and main option on validation data")
    p.add_argument(
        "--methods", nargs="+", metavar="METHOD[:OPTION=VALUE,...]", help="all that apply"
    )
    p.add_argument(
        "--budget", type=int, default=9, help="trials of the coarse grid: 3, 6 or 9 (default)"
    )
    p.add_argument("--coarse", action="store_true", help="the coarse grid alone")
    p.add_argument(
        "--seeds",
        nargs="+",
        type=allowed(Seed),
        help="of the trials, at most 3 (100 101 102)",
    )
    add_workers(p)
    p.add_argument("--out", type=folder, help="folder of the choices (the package's own)")
    add_experiment(p, without=("method", "method_options", "seed", "lr"))
    p.set_defaults(run=_tune)


def _tune(args: argparse.Namespace) -> None:
    from msam_lib.experiments.build import check_experiment, load_data
    from msam_lib.experiments.cases import cases, needs_heads
    from msam_lib.experiments.choices import FOLDER
    from msam_lib.experiments.judging import judged_by
    from msam_lib.experiments.search import SEEDS, tune
    from msam_lib.results.headline import HEADLINES

    changes = chosen(args)
    dataset, fusion = changes.pop("dataset", DEFAULT_DATASET), changes.pop("fusion", "late")
    # The methods named, or all that this data set and fusion allow.
    if args.methods:
        rows = [parse_case(text) for text in args.methods]
        for case in rows:
            one = preset_experiment(args, dataset=dataset, fusion=fusion, method=case.method)
            heads = needs_heads(case, fusion)
            check_experiment(one.replace(method_options=case.options, unimodal_heads=heads))
    else:
        data = load_data(preset_experiment(args, dataset=dataset, fusion=fusion))
        rows = cases(len(data.modalities), fusion)
    best = tune(
        dataset,
        fusion,
        rows,
        preset=args.preset,
        budget=args.budget,
        refine=not args.coarse,
        seeds=args.seeds or SEEDS,
        store=args.store,
        folder=args.out or FOLDER,
        **workers(args),
        **changes,
    )
    for label, choice in best.items():
        options = ", ".join(f"{k}={v}" for k, v in choice["method_options"].items())
        headline = HEADLINES[judged_by(choice)]
        value = choice[f"val_{headline.metric}"]
        reached = "—" if value is None else headline.text(value)
        print(f"{label:28} {headline.metric} {reached:>7}  lr={choice['lr']:.4g}  {options}")
    print(f"(on the validation split; {headline.better})")
