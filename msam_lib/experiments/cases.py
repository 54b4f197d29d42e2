"""The rows of a comparison, and what experiment stands behind each."""

from __future__ import annotations

from typing import Any

from msam_lib.errors import unknown_name
from msam_lib.experiments.experiment import Experiment
from msam_lib.labels import Case, parse_setting
from msam_lib.methods import METHODS, build_method
from msam_lib.models.fusions.registry import FUSIONS

# Rows of the comparison besides every method with its defaults.
VARIANTS = (
    Case("msam", {"reading": "encoder"}),
    Case("msam", {"reading": "unimodal_loss"}),
    Case("msam", {"ascent": "momentum"}),
)
# Fields of `Experiment` that a setting may name; the search begins at the learning rate named. Not
# `seed`, which is the final runs' (the seed of a data set is an option of its own).
FIELDS = ("encoder", "width", "epochs", "lr", "batch_size", "label_noise", "optimizer", "schedule")


def cases(modalities: int, fusion: str = "late") -> list[Case]:
    """The rows of the comparison: every method that this fusion and number of modalities allow.

    Where the fusion has no per-modality logits, methods that need them get unimodal heads, and
    unimodal training is left out, for it would train no fusion.

    Args:
        modalities: their number M.
        fusion: its name.
    """
    named = [Case(name, {}) for name in METHODS]
    # Variants come as rows of their own, beside the method's defaults.
    named += [Case(c.method, dict(c.options)) for c in VARIANTS if c.method in METHODS]
    return [c for c in named if _applies(c, modalities, fusion)]


def _applies(case: Case, modalities: int, fusion: str) -> bool:
    """Whether a method can be trained with this fusion and number of modalities."""
    cls = METHODS[case.method]
    return (
        cls.tabled
        and cls.modalities in ("any", str(modalities))
        and (not cls.fusions or fusion in cls.fusions)
        and not (case.method == "unimodal" and needs_heads(case, fusion))
    )


def needs_heads(case: Case, fusion: str) -> bool:
    """Whether the model needs unimodal heads beside this fusion for this method."""
    wanted = build_method(case.method, **case.options).needs()
    if fusion not in FUSIONS:
        raise unknown_name("fusion", fusion, FUSIONS)
    return "unimodal_logits" in wanted and not FUSIONS[fusion].additive


def setting_experiment(
    setting: str, fusion: str, *, preset: str = "teach", **changes: Any
) -> Experiment:
    """The experiment of a setting with the preset's values.

    Args:
        setting: a data set, or one with options of its own or with fields of `Experiment` (those in
            `FIELDS`): `avmnist_mini@snr_db=-6`, `avmnist_mini@encoder=resnet18,width=16`.
        fusion: its name.
        preset: size of the run.
        **changes: other fields of `Experiment`, which go before the setting's.
    """
    dataset, options = parse_setting(setting)
    changes = {k: options.pop(k) for k in FIELDS if k in options} | changes
    if data_options := options | changes.pop("data_options", {}):
        changes["data_options"] = data_options
    return Experiment.preset(preset, dataset=dataset, fusion=fusion, **changes)


def case_experiment(
    case: Case, dataset: str, fusion: str, *, preset: str = "teach", **changes: Any
) -> Experiment:
    """The experiment of a case with the preset's values, and heads of its own where it needs them.

    Args:
        case: the row.
        dataset, fusion: where it is compared; a data set or one with options (`parse_setting`).
        preset: size of the run.
        **changes: other fields of `Experiment`.
    """
    heads = {"unimodal_heads": True} if needs_heads(case, fusion) else {}
    return setting_experiment(
        dataset,
        fusion,
        preset=preset,
        method=case.method,
        method_options=case.options,
        **heads,
        **changes,
    )
