"""Experiments: describing, building, running, searching, comparing and freezing them.

>>> from msam_lib.experiments import Experiment
>>> Experiment.preset("smoke", method="msam").epochs
2

The names below are imported when first used; describing an experiment needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Experiment": "experiment",
    "build_trainer": "build",
    "collect": "measurements",
    "diagnose": "diagnosis",
    "freeze_runs": "freeze.runs",
    "load_data": "build",
    "run_all": "runner",
    "run_experiment": "build",
    "trained_model": "build",
    "tune": "search",
    "tuned": "choices",
    "untrained_model": "build",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"msam_lib.experiments.{_HOME[name]}"), name)
    raise AttributeError(f"module 'msam_lib.experiments' has no attribute {name!r}")
