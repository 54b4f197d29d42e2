"""`prepare`: decode a data set's official distribution once, into arrays that training reads."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path

from msam_lib.cli.options import Commands


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser("prepare", help="decode a data set's official distribution once")
    p.add_argument("name", metavar="NAME", help="of the data set (list datasets)")
    p.add_argument("--source", type=Path, required=True, help="the distribution's folder or file")
    p.add_argument("--cache", type=Path, help="where to keep it ($MSAM_CACHE, or the user's cache)")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="threads (one per core)")
    p.add_argument(
        "--data-options",
        nargs="+",
        default=[],
        metavar="OPTION=VALUE",
        help="of the data set, those that determine what is kept",
    )
    p.set_defaults(run=_prepare)


def _prepare(args: argparse.Namespace) -> None:
    from msam_lib.data import prepare_dataset
    from msam_lib.labels import key_values

    options = key_values(args.data_options)
    done = prepare_dataset(args.name, args.source, args.cache, jobs=args.jobs, **options)
    size = sum(entry["bytes"] for entry in done.manifest["files"].values())
    print(f"{len(done.samples)} samples, {size / 1e6:.1f} MB, verified: {done.folder}")
    if parts := Counter(row["part"] for row in done.samples if "part" in row):
        print(", ".join(f"{n} {part}" for part, n in parts.items()))
    for note in done.notes:
        print(note)
    if args.cache is not None:
        print(f"To train on it: MSAM_CACHE={args.cache}")
