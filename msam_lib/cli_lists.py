"""What `python -m msam_lib list` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def _method_cards() -> list[dict[str, Any]]:
    from msam_lib.data import Modality
    from msam_lib.methods import METHODS, UNKNOWN, capabilities
    from msam_lib.models import FUSIONS, build_model

    specs = {"a": Modality("vector", (1,)), "b": Modality("vector", (1,))}
    offers = {f: capabilities(build_model(specs, f, classes=2, width=1)) for f in FUSIONS}
    left_out = [
        {"name": n, "title": "not implemented", "reference": why, "in_tables": False}
        for n, why in UNKNOWN.items()
    ]
    known = [
        {
            "name": name,
            "title": cls.title,
            "reference": cls.reference,
            "changes": cls.changes,
            "passes": cls.passes,
            "fusions": [f for f in cls.fusions or FUSIONS if cls.requires <= offers[f]],
            "fusions_with_unimodal_heads": [
                f for f in cls.fusions or FUSIONS if cls.requires <= offers[f] | {"unimodal_logits"}
            ],
            "modalities": cls.modalities,
            "tasks": list(cls.tasks),
            "requires": sorted(cls.requires),
            "options": cls.options(),
            "paper_options": cls.paper_options,
            "caveat": cls.caveat,
            "in_tables": cls.tabled,
        }
        for name, cls in METHODS.items()
    ]
    return known + left_out


def _datasets() -> list[dict[str, Any]]:
    from msam_lib.data import REGISTRY

    shown = ("summary", "reference", "options")
    return [
        {"name": name, **{k: getattr(info, k) for k in shown}} for name, info in REGISTRY.items()
    ]


def _named(module: str, attribute: str) -> list[dict[str, Any]]:
    from importlib import import_module

    return [{"name": name} for name in getattr(import_module(module), attribute)]


def _runs(store: Path | None) -> list[dict[str, Any]]:
    from msam_lib.training import list_runs

    out = []
    for run in list_runs(store):
        frame = run.metrics()
        epoch = int(frame.epoch.max()) if len(frame) else 0
        of = f"{epoch}/{run.config['epochs']} epochs"
        out.append({"name": run.name, "state": run.state, "epoch": of})
    return out


def _figure_items() -> list[dict[str, Any]]:
    from msam_lib.paper import ITEMS

    return [{"name": i.name, "title": i.title, "paper": i.paper_reference} for i in ITEMS.values()]


LISTS: dict[str, Any] = {
    "methods": lambda args: _method_cards(),
    "datasets": lambda args: _datasets(),
    "fusions": lambda args: _named("msam_lib.models", "FUSIONS"),
    "encoders": lambda args: _named("msam_lib.models", "ENCODERS"),
    "presets": lambda args: _named("msam_lib.presets", "PRESETS"),
    "figures": lambda args: _figure_items(),
    "runs": lambda args: _runs(args.store),
}
