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

# The public names: where each is, and what it is. All other names may change without notice.
PUBLIC: dict[str, tuple[str, str]] = {
    # data
    "load_dataset": ("data", "a data set in three splits, by name"),
    "list_datasets": ("data", "names of all data sets"),
    "describe": ("data", "a data set's source, licence and options as text"),
    "DataSplits": ("data", "training, validation and test split with what is known of them"),
    "MultimodalDataset": ("data", "one split: inputs per modality, and targets"),
    "Modality": ("data", "kind and shape of one modality's samples"),
    "Batch": ("data", "inputs, targets and indices of a mini-batch"),
    "BatchLoader": ("data", "shuffled mini-batches of a split"),
    # models
    "build_model": ("models", "encoders and fusion for a data set"),
    "Model": ("models", "base class: what methods and diagnostics ask of a model"),
    "MultimodalModel": ("models", "one encoder per modality and a fusion"),
    "Fusion": ("models", "base class of fusions"),
    "Output": ("models", "logits, features and unimodal logits of a forward pass"),
    "wrap": ("models", "your own module, ready for every method that can use it"),
    # contributions
    "shapley_contributions": (
        "contributions",
        "who contributed on a batch: Shapley values, shares",
    ),
    "Contributions": ("contributions", "their result"),
    "coalition_values": ("contributions", "the value of every subset of modalities"),
    "shapley_from_values": ("contributions", "Shapley values of a game given by its values"),
    "dominant_modality": ("contributions", "the modality with the largest share"),
    # methods
    "METHODS": ("methods", "{name: class} of every training rule"),
    "build_method": ("methods", "a training rule by name, with options"),
    "Method": ("methods", "base class; `step(model, batch, optimizer)` is one training step"),
    # tasks
    "Classification": ("tasks", "one class per sample: what `setup` takes as given"),
    "Multilabel": ("tasks", "several labels per sample, each on or off"),
    "Regression": ("tasks", "one number per sample"),
    "SegmentClassification": ("tasks", "one class for each segment of a sample"),
    # training
    "Trainer": ("training", "the training loop: trains, measures, keeps, resumes"),
    "Loaders": ("training", "batches to train on, and the splits measured after each epoch"),
    "History": ("training", "all measurements of a run"),
    "Run": ("training", "a run directory"),
    "list_runs": ("training", "all runs of a store"),
    "evaluate": ("training", "everything the tables need of a model on one split"),
    "build_optimizer": ("training", "SGD or AdamW"),
    "build_schedule": ("training", "constant, step or cosine learning rate with a warm-up"),
    "seed_everything": ("_utils.reproducibility", "seed Python, NumPy and torch"),
    # experiments
    "Experiment": ("experiments", "a training, completely described"),
    "run_experiment": ("experiments", "train, resume or return the run of an experiment"),
    "run_all": ("experiments", "many experiments, several at a time"),
    "trained_model": ("experiments", "the model of a finished run"),
    "tune": ("experiments", "the same search of learning rate and main option for every method"),
    "diagnose": ("experiments", "measure a finished run and store the results beside it"),
    "collect": ("experiments", "the measurements of runs as one tidy frame"),
    "freeze_runs": ("experiments", "what figures need of finished runs, in one small file"),
    # diagnostics
    "Sampling": ("diagnostics", "on which samples, and how, a diagnostic is measured"),
    "block_traces": ("diagnostics", "traces of the Hessian of every block, with standard errors"),
    "top_eigenvalues": ("diagnostics", "largest eigenvalues of a block's Hessian"),
    "spectral_density": ("diagnostics", "density of a block's eigenvalues"),
    "HessianOperator": ("diagnostics", "products with the Hessian of a block"),
    "line": ("diagnostics", "the loss along a line of the weights"),
    "plane": ("diagnostics", "the loss over a plane of the weights"),
    "Landscape": ("diagnostics", "a line or plane of losses"),
    "keskar_sharpness": ("diagnostics", "Keskar's sharpness of a block"),
    "sharpness_table": ("diagnostics", "every measure of sharpness for every block"),
    "generalization_gap": ("diagnostics", "normalised gap between training and test accuracy"),
    "linear_probe": ("diagnostics", "what a linear classifier reads from each encoder"),
    "gradient_alignment": ("diagnostics", "cosine between unimodal and fused gradients"),
    "missing_modality_curve": ("diagnostics", "accuracy as a modality goes missing"),
    "TraceProbe": ("diagnostics", "traces over the epochs of a training"),
    # results and figures, without torch
    "load_results": ("results.frozen:load", "frozen results as a tidy frame"),
    "reported_epoch": ("results", "the epoch of each run with the best validation accuracy"),
    "summary": ("results.summary:summary", "means over seeds with intervals"),
    "paired_test": ("results", "compare two methods over the same seeds"),
    "results_table": ("plots", "accuracies as a table: Markdown, LaTeX, CSV, HTML"),
    "show": ("plots", "a figure in a notebook, with its alternative text"),
    "theme": ("plots", "the look of all figures"),
    "build_figures": (
        "figures.registry:build_all",
        "draw every figure and table, or find stale ones",
    ),
    # errors
    "MsamError": ("errors", "base class of this package's errors"),
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

__all__ = ["PUBLIC", "__version__", *sorted(PUBLIC)]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        module, _, attribute = PUBLIC[name][0].partition(":")
        return getattr(import_module(f"msam_lib.{module}"), attribute or name)
    if name in _MODULES:
        return import_module(f"msam_lib.{name}")
    raise AttributeError(f"module 'msam_lib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
