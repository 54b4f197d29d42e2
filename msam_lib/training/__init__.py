"""Training and evaluation: `Trainer` is the only loop, `evaluate` the only measurement."""

from msam_lib._utils.settings import OPTIMIZERS, SCHEDULES
from msam_lib.training.evaluate import Row, evaluate
from msam_lib.training.history import History, Record
from msam_lib.training.loaders import Loaders
from msam_lib.training.optim import build_optimizer, build_schedule
from msam_lib.training.repairs import repair
from msam_lib.training.runs import Run
from msam_lib.training.stores import default_store, list_runs
from msam_lib.training.trainer import Probe, Trainer

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "History",
    "Loaders",
    "Probe",
    "Record",
    "Row",
    "Run",
    "Trainer",
    "build_optimizer",
    "build_schedule",
    "default_store",
    "evaluate",
    "list_runs",
    "repair",
]
