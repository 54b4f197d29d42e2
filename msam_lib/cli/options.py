"""Command-line options from the fields of `Experiment`, and experiments from given options."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from msam_lib._utils.arguments import options_of
from msam_lib._utils.docstrings import split_docstring
from msam_lib._utils.options import fits, words
from msam_lib.experiments.experiment import Experiment
from msam_lib.labels import key_values, parse_case

# What `add_subparsers` returns.
Commands = argparse._SubParsersAction


def field_help() -> dict[str, str]:
    """{field of `Experiment`: description}, from its docstring."""
    return split_docstring(inspect.getdoc(Experiment) or "")[1]


def given_as(kind: Any) -> Callable[[str], Any]:
    """From a command line's word to the value of an annotation; what cannot be converted stays a
    text, which the check of the option then explains.
    """
    if not any(fits(kind, x) for x in (0.5, 1, 2)):
        return str
    plain = float if fits(kind, 0.5) else int

    def convert(text: str) -> Any:
        try:
            return plain(text)
        except ValueError:
            return text

    return convert


def allowed(kind: Any) -> Callable[[str], Any]:
    """As `given_as`, for an option that nobody else checks: it is an error of the parser."""
    convert = given_as(kind)

    def check(text: str) -> Any:
        value = convert(text)
        if not fits(kind, value):
            raise argparse.ArgumentTypeError(f"{text!r} was given; give {words(kind)}")
        return value

    return check


def folder(text: str) -> Path:
    """The path of a folder, which need not exist yet."""
    path = Path(text).expanduser()
    found = next((p for p in (path, *path.parents) if p.exists()), path)
    if found.exists() and not found.is_dir():
        raise argparse.ArgumentTypeError(f"{found} is a file; give a folder, new or existing")
    return path


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option `--store`."""
    parser.add_argument("--store", type=folder, help="folder of runs ($MSAM_RUNS, or runs)")


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where runs are trained, and how many at a time."""
    parser.add_argument("--jobs", type=int, help="processes, or Slurm jobs; each takes one core")
    parser.add_argument(
        "--on",
        default="local",
        metavar="PLACE",
        help="local: processes here (default); dask: dask workers here; slurm; "
        "tcp://host:port: an existing dask scheduler",
    )
    parser.add_argument(
        "--cluster-options",
        nargs="+",
        default=[],
        metavar="OPTION=VALUE",
        help="of dask's cluster, for example queue=long walltime=04:00:00 memory=8GB",
    )


def add_frozen(parser: argparse.ArgumentParser) -> None:
    """Add what commands take that train with the tuned values and freeze what came out."""
    parser.add_argument("--preset", default="teach", help="smoke, teach (default) or paper")
    add_workers(parser)
    add_store(parser)
    parser.add_argument(
        "--out", type=folder, default=Path("figures/data"), help="of the frozen results"
    )


def workers(args: argparse.Namespace) -> dict[str, Any]:
    """Where runs are trained, as arguments of `run_all`, `tune` and the freezing of whole sets."""
    return {"jobs": args.jobs, "on": args.on, "cluster": key_values(args.cluster_options)}


def add_experiment(parser: argparse.ArgumentParser, without: Iterable[str] = ()) -> None:
    """Add an option for every field of `Experiment` but some; the preset gives those not named on
    the command line.
    """
    parser.add_argument("--preset", default="teach", help="smoke, teach (default) or paper")
    add_store(parser)
    explained, known = field_help(), options_of(Experiment)
    for f in fields(Experiment):
        if f.name in without:
            continue
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": explained[f.name]}
        if f.name.endswith("_options"):
            options |= {"nargs": "+", "metavar": "OPTION=VALUE"}
        elif f.name == "modalities":
            options |= {"nargs": "+", "metavar": "NAME"}
        elif isinstance(f.default, bool):
            options |= {"action": argparse.BooleanOptionalAction}
        else:
            kind = known[f.name].kind
            options |= {"type": given_as(kind), "metavar": type(f.default).__name__.upper()}
            options["help"] = f"{explained[f.name]} Allowed: {words(kind)}.".replace("%", "%%")
        parser.add_argument("--" + f.name.replace("_", "-"), **options)
    parser.add_argument(
        "--source", help="of --dataset folder or table, as --data-options source=..."
    )


def chosen(args: argparse.Namespace) -> dict[str, Any]:
    """{field of `Experiment`: value} of those named on the command line."""
    given = {f.name: getattr(args, f.name) for f in fields(Experiment) if hasattr(args, f.name)}
    out = {k: key_values(v) if k.endswith("_options") else v for k, v in given.items()}
    if getattr(args, "source", None):
        out["data_options"] = {"source": args.source} | out.get("data_options", {})
    return out


def preset_experiment(args: argparse.Namespace, **changes: Any) -> Experiment:
    """The experiment that the options describe, on top of their preset."""
    return Experiment.preset(args.preset, **(chosen(args) | changes))


def experiments_of(args: argparse.Namespace) -> list[Experiment]:
    """The experiments of `--methods` and `--seeds`, checked before anything is trained.

    Raises:
        MsamError: an unknown name, a value that is not allowed, or a method that cannot train such
            a model.
    """
    from msam_lib.experiments.build import check_experiment

    out = []
    for text in args.methods:
        name, options = parse_case(text)
        changes = {"method": name, "method_options": options}
        out += [preset_experiment(args, seed=seed, **changes) for seed in args.seeds]
        check_experiment(out[-1])
    return out
