"""Names and ranges of settings that several rooms declare. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msam_lib._utils.options import Choice, Range

ENCODERS = (
    "small_cnn",
    "resnet18",
    "mlp",
    "transformer",
    "deep_transformer",
    "tokens",
    "segments",
)
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("constant", "step", "cosine")
PRECISIONS = ("auto", "float32", "bfloat16")

Names = str | Sequence[str]
Seed = Annotated[int, Range(0, 2**32 - 1)]  # NumPy's limit
Decibels = Annotated[float, Range(-200, infinite=True)]
EncoderName = Annotated[str, Choice((*ENCODERS, "auto"), prefix="hf:")]
EncoderNames = Annotated[str, Choice((*ENCODERS, "auto"), prefix="hf:", pairs=True)]
OptimizerName = Annotated[str, Choice(OPTIMIZERS)]
ScheduleName = Annotated[str, Choice(SCHEDULES)]
PrecisionName = Annotated[str, Choice(PRECISIONS)]
