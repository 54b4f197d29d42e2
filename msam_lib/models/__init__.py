"""Encoders, fusions, and the model that joins them.

>>> from msam_lib.data import Modality
>>> model = build_model({"x1": Modality("vector", (5,)), "x2": Modality("vector", (3,))}, classes=2)
>>> sorted(model.blocks())
['fusion', 'x1', 'x2']
"""

from msam_lib._utils.settings import ENCODERS
from msam_lib.models.base import Model, Output
from msam_lib.models.contexts import RandomState, evaluating, frozen_statistics
from msam_lib.models.encoders import (
    MLP,
    HuggingFaceEncoder,
    KeyEncoder,
    PlaceEncoder,
    ResNet18,
    SegmentEncoder,
    SmallCNN,
    TokenEncoder,
    TransformerEncoder,
)
from msam_lib.models.encoders import build_encoder as build_encoder
from msam_lib.models.fusions.additive import Fusion
from msam_lib.models.fusions.registry import FUSIONS, build_fusion
from msam_lib.models.multimodal import MultimodalModel, build_model
from msam_lib.models.wrapped import WrappedModel, wrap

__all__ = [
    "ENCODERS",
    "FUSIONS",
    "MLP",
    "Fusion",
    "HuggingFaceEncoder",
    "KeyEncoder",
    "Model",
    "MultimodalModel",
    "Output",
    "PlaceEncoder",
    "RandomState",
    "ResNet18",
    "SegmentEncoder",
    "SmallCNN",
    "TokenEncoder",
    "TransformerEncoder",
    "WrappedModel",
    "build_encoder",
    "build_fusion",
    "build_model",
    "evaluating",
    "frozen_statistics",
    "wrap",
]
