"""`list`: the methods, data sets, fusions, encoders, presets, figures and runs that there are."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msam_lib._utils.arguments import options_of
from msam_lib.catalogue import DATASETS
from msam_lib.catalogue import FUSIONS as FUSION_ROWS
from msam_lib.catalogue import METHODS as METHOD_ROWS
from msam_lib.cli.options import Commands, add_store


def add_parsers(commands: Commands) -> None:
    """Add the command with its options."""
    p = commands.add_parser("list", help="what there is: methods, data sets, runs, ...")
    p.add_argument("what", choices=sorted(LISTS))
    p.add_argument("--json", action="store_true", help="as JSON")
    add_store(p)
    p.set_defaults(run=_list)


def _list(args: argparse.Namespace) -> None:
    rows = LISTS[args.what](args)
    if args.json:
        print(json.dumps(rows, indent=1, default=str))
        return
    if not rows:
        print(f"No {args.what} yet.")
    # A line per row: its name and, of the other values, the first three texts.
    for row in rows:
        name, *rest = row.values()
        shown = [v for v in rest if isinstance(v, str) and v][:3]
        print(f"{name:16} " + " · ".join(shown) if shown else name)


def _method_cards() -> list[dict[str, Any]]:
    """A row per method: what the catalogue and the class say, and under which fusions it runs."""
    from msam_lib.data import Modality
    from msam_lib.methods import METHODS, UNKNOWN, capabilities
    from msam_lib.models import FUSIONS, build_model

    # What a model offers under each fusion, read from a small one; methods say what they require.
    specs = {"a": Modality("vector", (1,)), "b": Modality("vector", (1,))}
    offers = {f: capabilities(build_model(specs, f, classes=2, width=1)) for f in FUSIONS}
    left_out = [
        {"name": n, "title": "not implemented", "reference": why, "in_tables": False}
        for n, why in UNKNOWN.items()
    ]
    known = [
        {
            "name": name,
            "title": METHOD_ROWS[name].title,
            "reference": cls.reference,
            "changes": METHOD_ROWS[name].kind,
            "passes": cls.passes,
            "fusions": [f for f in cls.fusions or FUSIONS if cls.requires <= offers[f]],
            "fusions_with_unimodal_heads": [
                f for f in cls.fusions or FUSIONS if cls.requires <= offers[f] | {"unimodal_logits"}
            ],
            "modalities": cls.modalities,
            "tasks": list(cls.tasks),
            "requires": sorted(cls.requires),
            "options": cls.options(),
            "allowed": {option: str(o) for option, o in options_of(cls).items()},
            "paper_options": cls.paper_options,
            "caveat": cls.caveat,
            "in_tables": cls.tabled,
        }
        for name, cls in METHODS.items()
    ]
    return known + left_out


def _datasets() -> list[dict[str, Any]]:
    from msam_lib.data import LOADERS

    shown = ("summary", "reference", "options")
    return [
        {"name": n, **{k: getattr(row, k) for k in shown}}
        | {"allowed": {o: str(found) for o, found in options_of(LOADERS[n]).items()}}
        for n, row in DATASETS.items()
    ]


def _fusions() -> list[dict[str, Any]]:
    """A row per fusion, with what its options may be."""
    from msam_lib.models import FUSIONS

    sizes = ("dims", "classes")
    return [
        {
            "name": n,
            "title": row.words,
            "allowed": {o: str(k) for o, k in options_of(FUSIONS[n]).items() if o not in sizes},
        }
        for n, row in FUSION_ROWS.items()
    ]


def _named(module: str, attribute: str) -> list[dict[str, Any]]:
    """A row per name in a module's registry."""
    from importlib import import_module

    return [{"name": name} for name in getattr(import_module(module), attribute)]


def _runs(store: Path | None) -> list[dict[str, Any]]:
    """A row per run of the store, with its state and epoch."""
    from msam_lib.errors import RunDamaged
    from msam_lib.training import list_runs

    out = []
    for run in list_runs(store):
        try:
            frame = run.metrics()
            epoch = int(frame.epoch.max()) if len(frame) else 0
            of = f"{epoch}/{run.config.get('epochs', '?')} epochs"
            out.append({"name": run.name, "state": run.state, "epoch": of})
        except RunDamaged as error:
            out.append({"name": run.name, "state": "damaged", "error": str(error)})
    return out


def _figure_items() -> list[dict[str, Any]]:
    from msam_lib.figures.registry import ITEMS

    return [{"name": i.name, "title": i.title, "paper": i.paper_reference} for i in ITEMS.values()]


LISTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "methods": lambda args: _method_cards(),
    "datasets": lambda args: _datasets(),
    "fusions": lambda args: _fusions(),
    "encoders": lambda args: _named("msam_lib.models", "ENCODERS"),
    "presets": lambda args: _named("msam_lib.experiments.presets", "PRESETS"),
    "figures": lambda args: _figure_items(),
    "runs": lambda args: _runs(args.store),
}
