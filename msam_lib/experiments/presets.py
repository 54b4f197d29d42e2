"""The sizes of an experiment: `smoke` for tests, `teach` for a laptop, `paper` for a machine with a
GPU.

A preset is a dictionary of `Experiment` fields for all data sets (`"*"`), and further ones for some
data sets and fusions. The radii of the methods were chosen on the validation split (see "How
the radii were chosen" in book/choices.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msam_lib.errors import unknown_name

Fields = dict[str, Any]
FEATURES = ("mosi_regression", "mosei", "sims", "iemocap", "ave")  # sequences, for Transformers

PRESETS: dict[str, dict[str, Fields]] = {
    "smoke": {
        "*": {"epochs": 2, "width": 4, "train_part": 100},
        "avmnist": {"data_options": {"n_train": 200, "n_val": 100, "n_test": 100}},
        "avmnist_mini": {"data_options": {"n_train": 200, "n_val": 100, "n_test": 100}},
        "synthetic": {"data_options": {"n_train": 200, "n_val": 100, "n_test": 100}},
        "signs": {"data_options": {"n_train": 200, "n_val": 100, "n_test": 100}},
        "isl": {"encoder": "mlp"},
        "cremad": {"data_options": {"size": 32}},
        "mimic": {"data_options": {"size": 32}},
        "food101": {"data_options": {"size": 32}},
        "kinetics_sounds": {"data_options": {"size": 32}},
    },
    "teach": {
        "*": {"epochs": 20, "width": 8, "lr": 0.05, "schedule": "cosine"},
        # A multilayer perceptron, for at -12 dB convolutions need more pairs than a laptop has time
        # to train on.
        "avmnist": {
            "encoder": "mlp",
            "width": 16,
            "lr": 0.02,
            "epochs": 12,
            "data_options": {"n_train": 20_000, "n_val": 2000, "n_test": 4000},
        },
        # A small learning rate, many epochs: with 0.02 MaxOut fusion leaves the audio near chance.
        "avmnist_mini": {"encoder": "mlp", "width": 16, "lr": 0.005, "epochs": 30},
        "signs": {
            "encoder": "mlp",
            "width": 16,
            "lr": 0.02,
            "epochs": 15,
            "data_options": {"n_train": 6000, "n_val": 1000, "n_test": 2000},
        },
        "mosi": {"lr": 0.003, "epochs": 10},
        "mfeat": {"lr": 0.02},
        "isl": {"encoder": "mlp", "lr": 0.02, "epochs": 30},
        "cremad": {"encoder": "resnet18", "lr": 0.02, "data_options": {"size": 112}},
        "urfunny": {"optimizer": "adamw", "lr": 1e-3},
        **{name: {"optimizer": "adamw", "lr": 1e-3} for name in FEATURES},
        "mimic": {"optimizer": "adamw", "lr": 1e-3, "data_options": {"size": 64}},
        "food101": {"optimizer": "adamw", "lr": 1e-3, "data_options": {"size": 64}},
        "kinetics_sounds": {"encoder": "resnet18", "lr": 0.02, "data_options": {"size": 112}},
        "table": {"lr": 0.003},
    },
    "paper": {
        "*": {"epochs": 100, "width": 64, "lr": 1e-3, "schedule": "step", "period": 70},
        "avmnist": {"encoder": "resnet18", "data_options": {"size": "paper"}},
        "avmnist_mini": {"encoder": "resnet18"},
        "digits": {"encoder": "resnet18", "lr": 0.01},
        # The learning rate that the authors of OGM-GE advise, for batches of 64.
        "cremad": {"encoder": "resnet18", "lr": 2e-3},
        **{
            name: {"encoder": "deep_transformer", "optimizer": "adamw", "lr": 1e-4}
            for name in ("urfunny", *FEATURES)
        },
        "mimic": {"optimizer": "adamw", "lr": 1e-4},
        "kinetics_sounds": {"encoder": "resnet18", "lr": 2e-3},
    },
}

# Radii of `teach`, by data set, fusion and method: the best fused accuracy on the validation split
# among 0.05, 0.1, 0.2, 0.4 (ASAM: 0.25, 0.5, 1, 2); benchmarks/choose_radii.py repeats the choice.
RADII: dict[str, dict[str, dict[str, float]]] = {
    "digits": {
        "late": {
            "sam": 0.2,
            "asam": 1.0,
            "msam": 0.4,
            "msam:reading=encoder": 0.4,
            "msam:reading=unimodal_loss": 0.2,
            "msam:ascent=momentum": 0.1,
        },
        "maxout": {
            "sam": 0.2,
            "asam": 1.0,
            "msam": 0.1,
            "msam:reading=encoder": 0.05,
            "msam:reading=unimodal_loss": 0.1,
            "msam:ascent=momentum": 0.05,
        },
    },
    # Two seeds; with larger radii accuracy falls. All others keep the methods' own radius of 0.05.
    "avmnist_mini": {"late": {"sam": 0.05, "asam": 0.5, "msam": 0.05}},
    "avmnist": {
        "late": {
            "sam": 0.05,
            "asam": 0.5,
            "msam": 0.05,
            "msam:reading=encoder": 0.2,
            "msam:reading=unimodal_loss": 0.05,
            "msam:ascent=momentum": 0.05,
        },
    },
}

MAXOUT_HIDDEN = {"smoke": (32, 16), "teach": (128, 64), "paper": (2048, 1024)}


def preset(name: str, dataset: str, changes: Mapping[str, Any]) -> Fields:
    """The fields of a preset for a data set, and for the fusion and method named in `changes`.

    Raises:
        MsamError: an unknown preset.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    out = PRESETS[name]["*"] | PRESETS[name].get(dataset, {})
    if changes.get("fusion") == "maxout":
        out = {"fusion_options": {"hidden": MAXOUT_HIDDEN[name]}} | out
    if name == "teach":  # the radius of the method, or of its variant (reading or ascent)
        known = RADII.get(dataset, {}).get(str(changes.get("fusion", "late")), {})
        method = str(changes.get("method", "joint"))
        given = changes.get("method_options", {})
        # A variant has a radius of its own.
        kinds = [f"{method}:{k}={given[k]}" for k in ("reading", "ascent") if k in given]
        if rho := known.get(kinds[0] if kinds else method):
            out |= {"method_options": {"rho": rho}}
    return out
