"""Measurements of a trained model: curvature, landscapes, sharpness, generalisation, per modality.

Every function takes `(model, data, block, ...)`. `data` is a data set (or loader, or one batch) and
stands for a fixed set of samples; `block` is a modality (its encoder), `"fusion"`, `"all"`, or a
list of those. The model comes back exactly as it was: weights, `requires_grad`, `.grad`, modes and
batch-norm statistics.

>>> import torch
>>> from msam_lib.diagnostics import *
>>> from msam_lib.data import Batch, Modality
>>> from msam_lib.models import build_model
>>> _ = torch.manual_seed(0)
>>> specs = {"x1": Modality("vector", (5,)), "x2": Modality("vector", (3,))}
>>> model = build_model(specs, classes=2, width=4)
>>> batch = Batch({"x1": torch.randn(64, 5), "x2": torch.randn(64, 3)}, torch.arange(64) % 2)

Curvature. One set of probes gives every block's trace and the total; each has its standard error.

>>> traces = block_traces(model, batch, probes=20)
>>> list(traces)
['x1', 'x2', 'fusion', 'total']
>>> exact = float(HessianOperator(model, batch, "x1").dense().trace())
>>> abs(traces["x1"].value - exact) < 4 * traces["x1"].std_error
True
>>> top = top_eigenvalues(model, batch, "x1", k=1)
>>> bool(top.converged.all())
True

A landscape: first direction in one encoder, second in the other; its centre is the model.

>>> view = plane(model, batch, "x1", "x2", steps=5)
>>> abs(view.at_origin - float(fused_loss(model, batch).detach())) < 1e-6
True

Sharpness, and what it is to explain.

>>> keskar_sharpness(model, batch, "x1").value > 0
True
>>> normalised_gap(train=0.9, test=0.72)
20.0

The names below are imported when first used; `Landscape` and the plots need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Block": "_common",
    "Direction": "_common",
    "fused_loss": "_common",
    "unimodal_loss": "_common",
    "BlockNorms": "interference",
    "HessianOperator": "hessian",
    "block_norms": "interference",
    "hvp": "hessian",
    "TraceEstimate": "trace",
    "block_traces": "trace_blocks",
    "hessian_trace": "trace",
    "gauss_newton_traces": "gauss_newton",
    "Eigenpairs": "spectrum",
    "SpectralDensity": "spectrum",
    "spectral_density": "spectrum",
    "top_eigenvalues": "spectrum",
    "Trajectory": "directions",
    "eigen_directions": "directions",
    "pca_trajectory": "directions",
    "random_direction": "directions",
    "Landscape": "surface",
    "eigen_plane": "landscape",
    "interpolate": "interpolation",
    "line": "landscape",
    "plane": "landscape",
    "surface_over": "landscape",
    "trajectory_plane": "trajectory",
    "AscentSharpness": "sharpness",
    "AverageSharpness": "sharpness",
    "KeskarSharpness": "keskar",
    "ascent_sharpness": "sharpness",
    "average_sharpness": "sharpness",
    "keskar_sharpness": "keskar",
    "sharpness_table": "sharpness",
    "RankCorrelation": "generalization",
    "correlate_with_gap": "generalization",
    "generalization_gap": "generalization",
    "kendall_tau": "generalization",
    "normalised_gap": "generalization",
    "feature_similarity": "probes",
    "gradient_alignment": "probes",
    "gradient_norms": "probes",
    "linear_cka": "probes",
    "linear_probe": "probes",
    "missing_modality_curve": "robustness",
    "noisy_modality_curve": "robustness",
    "AlignmentProbe": "trainer_probes",
    "LinearProbe": "trainer_probes",
    "SharpnessProbe": "trainer_probes",
    "TraceProbe": "trainer_probes",
    "as_probe": "trainer_probes",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'msam_lib.diagnostics' has no attribute {name!r}")
    return getattr(import_module(f"msam_lib.diagnostics.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
