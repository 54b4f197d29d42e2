"""Encoders: from the inputs of one modality to features (N, D); `encoder.dim` is D.

No encoder knows which modality it reads. `build_encoder` chooses one that fits a `Modality`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib._utils.settings import ENCODERS, EncoderName
from msam_lib.data.containers import Modality
from msam_lib.errors import MsamError, unknown_name
from msam_lib.models.encoders.base import MLP, Encoder, freeze
from msam_lib.models.encoders.convolutional import FrameMean, ResNet18, SmallCNN
from msam_lib.models.encoders.huggingface import HuggingFaceEncoder, reads_frames
from msam_lib.models.encoders.pretrained import load_resnet18
from msam_lib.models.encoders.recurrent import KeyEncoder, PlaceEncoder, SegmentEncoder
from msam_lib.models.encoders.transformers import TokenEncoder, TransformerEncoder

__all__ = [
    "ENCODERS",
    "MLP",
    "Encoder",
    "FrameMean",
    "HuggingFaceEncoder",
    "KeyEncoder",
    "PlaceEncoder",
    "ResNet18",
    "SegmentEncoder",
    "SmallCNN",
    "TokenEncoder",
    "TransformerEncoder",
    "build_encoder",
]


class Kind(NamedTuple):
    """What a kind of encoder reads and which options it has.

    Args:
        dimensions: that a sample may have; empty for any.
        options: beside `trainable`, which all have.
    """

    dimensions: tuple[int, ...]
    options: tuple[str, ...] = ()


_LAYERS = ("dim", "depth", "heads", "dropout")
KINDS = {
    "small_cnn": Kind((3,), ("norm",)),
    "resnet18": Kind((3,), ("weights",)),
    "mlp": Kind((), ("dim", "hidden", "depth")),
    "transformer": Kind((2,), _LAYERS),
    "deep_transformer": Kind((2,), _LAYERS),
    "tokens": Kind((1,), _LAYERS),
    "segments": Kind((2, 4), ("hidden", "segments", "keys")),
    "hf": Kind((), ("pooling", "padding", "attention")),
}


def build_encoder(
    modality: Modality, kind: EncoderName = "auto", *, width: Count = 16, **options: Any
) -> Encoder:
    """The encoder for one modality; `"auto"` chooses by `modality.kind`.

    Args:
        modality: kind and shape of one sample.
        kind: one of `ENCODERS`, or `"auto"`: small CNN for images and spectrograms, MLP for
            vectors, Transformer for sequences, character Transformer for characters. Images'
            encoders read the frames of a video one by one and average the features.
            `"hf:NAME_OR_FOLDER"` is a Hugging Face model, see `HuggingFaceEncoder`; it is read from
            a folder or from the cache, never fetched.
        width: base width. Features have `4 * width` dimensions, `8 * width` for `resnet18` and
            `deep_transformer`, which at width 64 is that of the MASAM code for UR-FUNNY: 512
            dimensions, 8 heads, 4 layers. A Hugging Face model has its own.
        **options: `trainable`, what is trained: `"all"`, `"none"`, or `"last:N"`, the last N blocks
            and what lies above them; `weights`, a file with torchvision's names for `resnet18` (see
            `load_resnet18`; the network then has the published stem, whatever the images' size);
            and those of the encoder's class: `dim`, `depth`, `heads` and `dropout` of Transformers,
            `hidden` and `depth` of an MLP, `pooling`, `padding` and `attention` of `hf:`, `hidden`,
            `segments` and `keys` of `segments` (`build_model` sets the last two).

    Raises:
        MsamError: an unknown kind or option, or one that cannot read this modality.

    >>> build_encoder(Modality("image", (1, 8, 8)), width=4).dim
    16
    >>> encoder = build_encoder(Modality("image", (3, 64, 64)), "resnet18", trainable="last:1")
    >>> [name for name, p in encoder.named_parameters() if p.requires_grad][0]
    'stages.7.conv1.weight'
    """
    check_arguments(build_encoder, locals())
    automatic = dict.fromkeys(("image", "video", "spectrogram"), "small_cnn") | {"vector": "mlp"}
    automatic |= {"sequence": "transformer", "characters": "tokens"}
    if kind == "auto":
        kind = automatic[modality.kind]
    name, _, source = kind.partition(":")
    if name not in KINDS or bool(source) != (name == "hf"):
        raise unknown_name("encoder", kind, [*(k for k in KINDS if k != "hf"), "hf:NAME", "auto"])
    known = (*KINDS[name].options, "trainable")
    if unknown := [o for o in options if o not in known]:
        raise MsamError(
            f"Encoder {kind!r} has no option {unknown[0]!r}; it has {', '.join(known)}. An option "
            "for one modality's encoder is MODALITY.OPTION."
        )
    # Encoders of images read frames one by one.
    if modality.kind == "video" and (
        name in ("small_cnn", "resnet18") or (name == "hf" and not reads_frames(source))
    ):
        image = Modality("image", modality.shape[1:])
        return FrameMean(build_encoder(image, kind, width=width, **options))
    if len(modality.shape) not in (KINDS[name].dimensions or (len(modality.shape),)):
        needs = " or ".join(map(str, KINDS[name].dimensions))
        raise MsamError(
            f"Encoder {kind!r} reads samples with {needs} dimensions, but this "
            f"{modality.kind} has shape {modality.shape}. Use encoder='auto', which would take "
            f"{automatic[modality.kind]!r}."
        )
    trainable = options.pop("trainable", "all")
    encoder = _build(modality, name, source, width, options)
    freeze(encoder, trainable)
    return encoder


def _build(
    modality: Modality, name: str, source: str, width: int, options: dict[str, Any]
) -> Encoder:
    """The encoder of a kind that can read this modality."""
    shape = modality.shape
    if name == "small_cnn":
        return SmallCNN(shape[0], width, **options)
    if name == "resnet18":
        if not (weights := options.get("weights")):
            return ResNet18(shape[0], width, small_stem=max(shape[1:]) <= 64)
        pretrained = ResNet18(shape[0], width)
        load_resnet18(pretrained, weights)
        return pretrained
    if name == "transformer":
        return TransformerEncoder(shape[1], **({"dim": 4 * width} | options))
    if name == "deep_transformer":
        deep: dict[str, Any] = {"dim": 8 * width, "depth": 4, "heads": 8, "dropout": 0.1}
        return TransformerEncoder(shape[1], **(deep | options))
    if name == "tokens":
        words = {"dim": 4 * width, "padding": modality.padding}
        return TokenEncoder(modality.vocabulary, **(words | options))
    if name == "segments":
        return _of_segments(shape, {"hidden": 2 * width} | options)
    if name == "hf":
        return HuggingFaceEncoder(source, modality, **options)
    flat: dict[str, Any] = {"dim": 4 * width, "hidden": 4 * width}
    return MLP(math.prod(shape), **(flat | options))


def _of_segments(shape: tuple[int, ...], options: dict[str, Any]) -> Encoder:
    """The encoder of segments: with keys, one for a fusion that attends to places."""
    places = math.prod(shape[2:]) if len(shape) == 4 else 0
    keys = options.pop("keys", 0)
    if not keys:
        return SegmentEncoder(shape[1], places, **options)
    options = {"segments": shape[0]} | options
    if places:
        return PlaceEncoder(shape[1], places, keys=keys, **options)
    return KeyEncoder(shape[1], keys=keys, **options)
