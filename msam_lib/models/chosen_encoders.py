"""The encoders of a model: those handed over, and those built by name with options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from msam_lib._utils.options import pairs_of
from msam_lib.data.containers import Modality
from msam_lib.errors import MsamError, unknown_name
from msam_lib.models.contexts import evaluating
from msam_lib.models.encoders import build_encoder

Options = Mapping[str, Any]
KEYS = 49  # as many as AVE's maps have places, which is the published number


def chosen_encoders(
    specs: Mapping[str, Modality],
    encoder: str | Mapping[str, str] = "auto",
    *,
    encoders: Mapping[str, nn.Module] | None = None,
    options: Options | None = None,
    width: int = 16,
    segments: int = 1,
    guided: bool = False,
) -> tuple[dict[str, nn.Module], dict[str, int]]:
    """{modality: encoder} and {modality: size of its features}; arguments as of `build_model`, and
    `guided`, whether the fusion attends to places.

    Raises:
        MsamError: a modality that is not there, or an encoder that cannot read its modality.
    """
    given = dict(encoders or {})
    kinds = kinds_of(encoder, specs)
    for m in given:
        _known(m, specs)
    if len({id(e) for e in given.values()}) < len(given):
        raise MsamError(
            f"encoders={sorted(given)}: one module stands for several modalities, so its "
            "parameters belong to none. Give each a module of its own (copy.deepcopy)."
        )
    each = options_of(options or {}, [m for m in specs if m not in given])
    parts = segment_options(specs, segments, guided)
    out: dict[str, nn.Module] = {}
    dims: dict[str, int] = {}
    for m, spec in specs.items():
        if m in given:
            out[m], dims[m] = given[m], feature_size(given[m], m, spec)
        else:
            kind = "segments" if m in parts and kinds[m] == "auto" else kinds[m]
            more = parts.get(m, {}) if kind == "segments" else {}
            built = build_encoder(spec, kind, width=width, **more | each[m])
            out[m], dims[m] = built, built.dim
    return out, dims


def segment_options(
    specs: Mapping[str, Modality], segments: int, guided: bool
) -> dict[str, dict[str, int]]:
    """{modality: options of the encoder `"segments"` for features of every segment}, of those that
    have these segments: sequences (T, D) and maps (T, C, H, W).

    Args:
        specs: of all modalities.
        segments: T where they are answered one by one; 1 where samples are answered as a whole.
        guided: whether the fusion attends to places; then T is that of the first maps.
    """
    maps = [spec.shape[0] for spec in specs.values() if len(spec.shape) == 4]
    keys = {"keys": KEYS} if guided and maps else {}
    steps = maps[0] if keys and segments == 1 else segments
    if steps == 1 and not keys:
        return {}
    return {
        m: {"segments": steps} | keys
        for m, spec in specs.items()
        if len(spec.shape) in (2, 4) and spec.shape[0] == steps
    }


def kinds_of(encoder: str | Mapping[str, str], modalities: Mapping[str, Any]) -> dict[str, str]:
    """{modality: kind of encoder} of one kind for all, or of some named as in
    `"text=hf:folder,image=resnet18"`; the others are `"auto"`.

    >>> kinds_of("text=tokens", {"text": 0, "image": 0})
    {'text': 'tokens', 'image': 'auto'}

    Raises:
        MsamError: a modality that is not there.
    """
    if isinstance(encoder, str):
        encoder = pairs_of(encoder) or dict.fromkeys(modalities, encoder)
    for m in encoder:
        _known(m, modalities)
    return {m: encoder.get(m, "auto") for m in modalities}


def options_of(options: Options, modalities: list[str]) -> dict[str, dict[str, Any]]:
    """{modality: {option: value}} of options for every encoder (`trainable`) and for one
    modality's (`text.trainable`), which come first.

    >>> options_of({"depth": 1, "text.depth": 2}, ["text", "image"])
    {'text': {'depth': 2}, 'image': {'depth': 1}}

    Raises:
        MsamError: a modality that is not there.
    """
    general = {k: v for k, v in options.items() if "." not in k}
    out = {m: dict(general) for m in modalities}
    for key, value in options.items():
        m, dot, option = key.partition(".")
        if dot:
            _known(m, modalities)
            out[m][option] = value
    return out


@torch.no_grad()
def feature_size(module: nn.Module, modality: str, spec: Modality) -> int:
    """D of a module's features (N, D), found by reading two samples of zeros in evaluation mode.

    Raises:
        MsamError: it cannot read them, or returns something else.
    """
    like = next(iter([*module.parameters(), *module.buffers()]), torch.zeros(()))
    dtype = torch.int64 if spec.kind == "characters" else torch.float32
    x = torch.zeros(2, *spec.shape, dtype=dtype, device=like.device)
    with evaluating(module):
        try:
            out = module(x)
        except Exception as error:  # whatever somebody else's module raises
            raise MsamError(
                f"encoders[{modality!r}] cannot read a batch of shape {tuple(x.shape)} "
                f"({type(error).__name__}: {error}). It needs to map (N, ...) to (N, D)."
            ) from error
    if not isinstance(out, Tensor) or out.dim() != 2 or len(out) != 2:
        found = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise MsamError(
            f"encoders[{modality!r}] maps a batch of shape {tuple(x.shape)} to {found}; features "
            "are (N, D). Pool or flatten them, without a classifier (timm: num_classes=0)."
        )
    return int(out.shape[1])


def _known(modality: str, modalities: Mapping[str, Any] | list[str]) -> None:
    if modality not in modalities:
        raise unknown_name("modality", modality, modalities)
