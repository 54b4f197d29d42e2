"""`diagnose`: measure curvature, landscapes and sharpness of finished runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated

from msam_lib._utils.options import Count, Range
from msam_lib._utils.settings import Seed
from msam_lib.cli.options import Commands, allowed


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser("diagnose", help="measure curvature, landscapes, sharpness of runs")
    p.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run directories")
    p.add_argument("--what", nargs="+", default=["hessian", "landscape", "sharpness"])
    p.add_argument("--samples", type=allowed(Count), default=1000, help="samples measured (1000)")
    p.add_argument(
        "--probes",
        type=allowed(Annotated[int, Range(2)]),
        default=30,
        help="random probes of the traces (30)",
    )
    p.add_argument(
        "--steps",
        type=allowed(Annotated[int, Range(2)]),
        default=25,
        help="points per axis of the planes (25)",
    )
    p.add_argument(
        "--seed", type=allowed(Seed), default=0, help="of samples, probes and directions (0)"
    )
    p.set_defaults(run=_diagnose)


def _diagnose(args: argparse.Namespace) -> None:
    from msam_lib.experiments.diagnosis import diagnose
    from msam_lib.training import Run

    options = {k: getattr(args, k) for k in ("samples", "probes", "steps", "seed")}
    for path in args.runs:
        for name, written in diagnose(Run(path), args.what, **options).items():
            print(f"{name:20} {written}")
