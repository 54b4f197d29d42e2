"""`freeze` and `figures`: finished runs to frozen results, and frozen results to figures."""

from __future__ import annotations

import argparse
from pathlib import Path

from msam_lib._utils.settings import Seed
from msam_lib.cli.options import Commands, add_store, add_workers, allowed, folder, workers
from msam_lib.errors import MsamError

REFERENCE, OWN, SLIDES = Path("figures"), Path("figures/own"), Path("figures/slides")


def add_parsers(commands: Commands) -> None:
    """Add both commands with their options."""
    p = commands.add_parser("freeze", help="keep the results of finished runs in one small file")
    p.add_argument("name", help="of the result, for example avmnist")
    add_store(p)
    p.add_argument("--dataset", help="only runs on this data set")
    p.add_argument("--out", type=folder, default=Path("figures/data"))
    p.set_defaults(run=_freeze)

    p = commands.add_parser("figures", help="run the suite on the embedded data, draw everything")
    p.add_argument("names", nargs="*", help="only these figures and tables (list figures)")
    p.add_argument("--preset", default="teach", help="size of the runs: smoke, teach or paper")
    p.add_argument("--seeds", nargs="+", type=allowed(Seed), default=[0, 1, 2])
    add_workers(p)
    add_store(p)
    p.add_argument(
        "--out",
        type=folder,
        help="figures/own (not the repository's reference) after training, else figures",
    )
    p.add_argument(
        "--size",
        choices=("paper", "slide"),
        default="paper",
        help="slide: 16:9, what is stored drawn into figures/slides; trains nothing",
    )
    group = p.add_mutually_exclusive_group()
    group.add_argument("--frozen", action="store_true", help="train nothing, draw what is stored")
    group.add_argument("--check", action="store_true", help="draw nothing: fail where one is stale")
    p.set_defaults(run=_figures)


def _freeze(args: argparse.Namespace) -> None:
    from msam_lib.experiments.freeze.runs import freeze_runs
    from msam_lib.results.frozen import path_of
    from msam_lib.training import list_runs

    path_of(args.name, args.out)  # refuses a name that leads elsewhere
    runs = [r for r in list_runs(args.store) if r.finished]
    if args.dataset:
        runs = [r for r in runs if r.config["dataset"] == args.dataset]
    print(f"{len(runs)} runs frozen in {freeze_runs(runs, args.name, args.out)}")


def _figures(args: argparse.Namespace) -> int:
    from msam_lib.figures.registry import build_all

    slides = args.size == "slide"
    stored = args.frozen or args.check or slides
    out = args.out or (SLIDES if slides else REFERENCE if stored else OWN)
    # Train and freeze first, unless only drawing or checking was asked for.
    if not stored:
        from msam_lib.experiments.freeze.suite import freeze_suite

        for path in freeze_suite(
            args.preset, args.seeds, store=args.store, folder=out / "data", **workers(args)
        ):
            print(f"frozen: {path}")
    names = build_all(args.names or None, out=out, check=args.check, size=args.size)
    if args.check:
        print("\n".join(f"stale: {n}" for n in names) or "All figures and tables are up to date.")
        return 1 if names else 0
    print(f"{len(names)} figures and tables drawn in {out}")
    if not stored and out != REFERENCE:
        _compare(out)
    return 0


def _compare(out: Path) -> None:
    """Print and write what was measured here beside the reference, where that is there."""
    from msam_lib._utils.files import write_text
    from msam_lib.catalogue import DEFAULT_DATASET
    from msam_lib.results.frozen import find, load
    from msam_lib.results.reference import against_reference, reference_text

    try:
        find(DEFAULT_DATASET)
    except MsamError:  # the package alone, without the repository
        return
    table = against_reference(load(DEFAULT_DATASET, out / "data"), load(DEFAULT_DATASET))
    path = write_text(out / "against_reference.md", reference_text(table))
    print(f"\n{path.read_text(encoding='utf-8')}\nAlso in {path}.")
