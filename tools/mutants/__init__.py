"""The faults that the tests have to notice, by what they are in; `python -m tools.mutants`."""

from tools.mutants import (
    contributions,
    data,
    diagnostics,
    encoders,
    gradients,
    losses,
    results,
    runs,
    schedules,
    sharpness_aware,
    training,
)
from tools.mutants.mutant import Mutant

MODULES = (
    sharpness_aware,
    gradients,
    losses,
    schedules,
    training,
    runs,
    data,
    contributions,
    diagnostics,
    encoders,
    results,
)
MUTANTS: list[Mutant] = [m for module in MODULES for m in module.MUTANTS]

__all__ = ["MUTANTS"]
