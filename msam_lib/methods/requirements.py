"""What methods may ask of a model, and what a model offers."""

from __future__ import annotations

from msam_lib.errors import UnsupportedSetting
from msam_lib.models.base import Model
from msam_lib.models.multimodal import MultimodalModel

# What a `requires` entry means, in words, and what to do where it is missing.
ADVICE = {
    "unimodal_logits": "needs per-modality logits, which this fusion does not have. Use "
    "fusion='late' or 'concat', or build the model with unimodal_heads=True",
    "encoders": "needs to know which parameters belong to which modality. Use a MultimodalModel, "
    "or name them: wrap(model, modalities, encoders={...})",
    "features": "needs the features of each modality. Use a MultimodalModel: a wrapped module "
    "cannot be split",
    "trained_encoders": "follows or perturbs every modality's encoder, and that of {0!r} is "
    "frozen. Leave its last layers trained (encoder_options={{'MODALITY.trainable': 'last:1'}}, or "
    "requires_grad_(True)), or use joint training, SAM or M-SAM's reading='literal'",
    "separate_encoders": "treats each modality's encoder by itself, and {0!r} and {1!r} share one. "
    "Give each a copy (copy.deepcopy), or use another method, for example 'joint'",
}


def advice(need: str, model: Model) -> str:
    """What a method needs that the model lacks, and what to do."""
    where = {"trained_encoders": _frozen, "separate_encoders": _shared}.get(need)
    return ADVICE[need] if where is None else ADVICE[need].format(*where(model))


def at_least_two(method: object, model: Model) -> None:
    """Raise where a method that plays modalities off against each other has only one.

    Raises:
        UnsupportedSetting: with what to do.
    """
    if len(model.modalities) < 2:
        raise UnsupportedSetting(
            f"{method!r} needs two modalities or more; the model has {list(model.modalities)}. "
            "Give it more, or use method 'joint'."
        )


def capabilities(model: Model) -> frozenset[str]:
    """What a model offers to methods, in the terms of `Method.requires`."""
    out = set()
    if isinstance(model, MultimodalModel):
        out |= {"features", "encoders"}
        if model.fusion.additive or model.heads is not None:
            out.add("unimodal_logits")
    elif len(model.blocks()) == len(model.modalities) + 1:
        out.add("encoders")
    # taken for granted where it is not known which parameters belong to a modality
    known = "encoders" in out
    out |= set() if known and _frozen(model) else {"trained_encoders"}
    out |= set() if known and _shared(model) else {"separate_encoders"}
    return frozenset(out)


def _frozen(model: Model) -> list[str]:
    """The modalities whose encoders have no parameter that is trained."""
    return [m for m in model.modalities if not any(p.requires_grad for p in model.parameters_of(m))]


def _shared(model: Model) -> list[str]:
    """Two modalities whose encoders share a parameter; empty where there are none."""
    owner: dict[int, str] = {}
    for m in model.modalities:
        for p in model.parameters_of(m):
            if owner.setdefault(id(p), m) != m:
                return [owner[id(p)], m]
    return []
