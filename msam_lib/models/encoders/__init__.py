"""Encoders: from the inputs of one modality to features (N, D); `encoder.dim` is D.

No encoder knows which modality it reads. `build_encoder` chooses one that fits a `Modality`.
"""

from __future__ import annotations

import math

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib._utils.settings import ENCODERS, EncoderName
from msam_lib.data.containers import Modality
from msam_lib.errors import MsamError
from msam_lib.models.encoders.base import MLP, Encoder
from msam_lib.models.encoders.convolutional import FrameMean, ResNet18, SmallCNN
from msam_lib.models.encoders.transformers import TokenEncoder, TransformerEncoder

__all__ = [
    "ENCODERS",
    "MLP",
    "Encoder",
    "FrameMean",
    "ResNet18",
    "SmallCNN",
    "TokenEncoder",
    "TransformerEncoder",
    "build_encoder",
]


def build_encoder(modality: Modality, kind: EncoderName = "auto", *, width: Count = 16) -> Encoder:
    """The encoder for one modality; `"auto"` chooses by `modality.kind`.

    Args:
        modality: kind and shape of one sample.
        kind: one of `ENCODERS`, or `"auto"`: small CNN for images and spectrograms, MLP for
            vectors, Transformer for sequences, character Transformer for characters. Images'
            encoders read the frames of a video one by one and average the features.
        width: base width. Features have `4 * width` dimensions, `8 * width` for `resnet18` and
            `deep_transformer`, which at width 64 is that of the MASAM code for UR-FUNNY: 512
            dimensions, 8 heads, 4 layers.

    Raises:
        MsamError: an unknown kind, or one that cannot read this modality.

    >>> build_encoder(Modality("image", (1, 8, 8)), width=4).dim
    16
    """
    check_arguments(build_encoder, locals())
    automatic = dict.fromkeys(("image", "video", "spectrogram"), "small_cnn") | {"vector": "mlp"}
    automatic |= {"sequence": "transformer", "characters": "tokens"}
    if kind == "auto":
        kind = automatic[modality.kind]
    if modality.kind == "video" and kind in ("small_cnn", "resnet18"):
        return FrameMean(build_encoder(Modality("image", modality.shape[1:]), kind, width=width))
    # Dimensions of a sample; the MLP flattens any shape.
    needs = {"small_cnn": 3, "resnet18": 3, "transformer": 2, "deep_transformer": 2, "tokens": 1}
    if len(modality.shape) != needs.get(kind, len(modality.shape)):
        raise MsamError(
            f"Encoder {kind!r} reads samples with {needs[kind]} dimensions, but this "
            f"{modality.kind} has shape {modality.shape}. Use encoder='auto', which would take "
            f"{automatic[modality.kind]!r}."
        )
    if kind == "small_cnn":
        return SmallCNN(modality.shape[0], width)
    if kind == "resnet18":
        return ResNet18(modality.shape[0], width, small_stem=max(modality.shape[1:]) <= 64)
    if kind == "transformer":
        return TransformerEncoder(modality.shape[1], 4 * width)
    if kind == "deep_transformer":
        return TransformerEncoder(modality.shape[1], 8 * width, depth=4, heads=8, dropout=0.1)
    if kind == "tokens":
        return TokenEncoder(modality.vocabulary, 4 * width)
    return MLP(math.prod(modality.shape), 4 * width, hidden=4 * width)
