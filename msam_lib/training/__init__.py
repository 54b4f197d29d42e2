"""Training and evaluation: `Trainer` is the only loop, `evaluate` the only measurement."""

from msam_lib._utils.settings import OPTIMIZERS, SCHEDULES
from msam_lib.training.evaluate import Row, calibration_error, evaluate, macro_f1
from msam_lib.training.history import History, Record
from msam_lib.training.optim import build_optimizer, build_schedule
from msam_lib.training.runs import Run, default_store, list_runs
from msam_lib.training.trainer import Loaders, Probe, Trainer

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
    "calibration_error",
    "default_store",
    "evaluate",
    "list_runs",
    "macro_f1",
]
