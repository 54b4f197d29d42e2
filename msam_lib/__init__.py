"""Modality dominance in multimodal learning: train with M-SAM and its relatives, measure who
dominates.

A tour in eight lines (`import msam_lib` is light; torch is imported when it is first needed):

>>> import msam_lib as ml
>>> data = ml.load_dataset("synthetic", snr=(3.0, 1.0), n_train=400, n_val=100, n_test=200)
>>> _ = ml.seed_everything(0)
>>> model = ml.build_model(data, fusion="late", width=4)
>>> method = ml.build_method("msam", rho=0.05)
>>> optimizer = ml.build_optimizer(model.parameters(), lr=0.1)
>>> history = ml.Trainer(model, method, data, optimizer=optimizer, progress=False).fit(epochs=3)
>>> shares = {m: history.last("contribution", modality=m) for m in model.modalities}
>>> ml.dominant_modality(shares)
'x1'

What there is, one row each, is in `msam_lib.catalogue`. Two towers stand on it. One computes:

* `msam_lib.data`: data sets, each a dictionary of tensors per split.
* `msam_lib.models`: encoders, fusions, `wrap` for your own module.
* `msam_lib.contributions`: exact Shapley contributions of the modalities.
* `msam_lib.methods`: training rules, one paper per file; `method.step(model, batch, optimizer)`.
* `msam_lib.training`: the one training loop, evaluation, run directories.
* `msam_lib.diagnostics`: curvature, landscapes, sharpness, probes, per modality.
* `msam_lib.experiments`: a run completely described, searched, compared, frozen.

The other shows what was frozen, without torch: `msam_lib.results`, `msam_lib.plots`,
`msam_lib.figures`. On top are `msam_lib.interactive` and the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Batch": "data",
    "BatchLoader": "data",
    "DataSplits": "data",
    "Modality": "data",
    "MultimodalDataset": "data",
    "describe": "data",
    "list_datasets": "data",
    "load_dataset": "data",
    "MultimodalModel": "models",
    "Output": "models",
    "build_model": "models",
    "wrap": "models",
    "METHODS": "methods",
    "Method": "methods",
    "build_method": "methods",
    "Contributions": "contributions",
    "coalition_values": "contributions",
    "dominant_modality": "contributions",
    "shapley_contributions": "contributions",
    "shapley_from_values": "contributions",
    "History": "training",
    "Loaders": "training",
    "Run": "training",
    "Trainer": "training",
    "build_optimizer": "training",
    "build_schedule": "training",
    "evaluate": "training",
    "list_runs": "training",
    "Experiment": "experiments",
    "run_experiment": "experiments",
    "trained_model": "experiments",
    "seed_everything": "_utils.reproducibility",
    "MsamError": "errors",
}
_MODULES = {
    "catalogue",
    "contributions",
    "data",
    "diagnostics",
    "experiments",
    "figures",
    "methods",
    "models",
    "plots",
    "results",
    "training",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"msam_lib.{name}")
    if name in _HOME:
        return getattr(import_module(f"msam_lib.{_HOME[name]}"), name)
    raise AttributeError(f"module 'msam_lib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
