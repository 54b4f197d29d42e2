"""Measurements of a trained model: curvature, landscapes, sharpness, generalisation, per modality.

Every function takes `(model, data, block, ...)`. `data` is a data set (or loader, or one batch) and
stands for a fixed set of samples; `block` is a modality (its encoder), `"fusion"`, `"all"`, or a
list of those. Which samples, in which mode of batch normalisation, and of which loss is one
argument, `sampling=Sampling(samples=300)`. The model comes back exactly as it was: weights,
`requires_grad`, `.grad`, modes and batch-norm statistics.

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

Sharpness, and what it is meant to explain.

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
    "ALL": "diagnostics._blocks",
    "FUSED": "diagnostics._blocks",
    "FUSION": "diagnostics._blocks",
    "TOTAL": "diagnostics._blocks",
    "Block": "diagnostics._blocks",
    "Direction": "diagnostics._blocks",
    "modality_of": "diagnostics._blocks",
    "Sampling": "diagnostics._samples",
    "fused_loss": "diagnostics._losses",
    "unimodal_loss": "diagnostics._losses",
    "BlockNorms": "diagnostics.curvature.block_norms",
    "block_norms": "diagnostics.curvature.block_norms",
    "HessianOperator": "diagnostics.curvature.hessian",
    "hvp": "diagnostics.curvature.hessian",
    "TraceEstimate": "diagnostics.curvature.trace",
    "hessian_trace": "diagnostics.curvature.trace",
    "block_traces": "diagnostics.curvature.block_traces",
    "gauss_newton_traces": "diagnostics.curvature.gauss_newton",
    "Eigenpairs": "diagnostics.curvature.spectrum",
    "SpectralDensity": "diagnostics.curvature.spectrum",
    "spectral_density": "diagnostics.curvature.spectrum",
    "top_eigenvalues": "diagnostics.curvature.spectrum",
    "Trajectory": "diagnostics.landscape.directions",
    "eigen_directions": "diagnostics.landscape.directions",
    "pca_trajectory": "diagnostics.landscape.directions",
    "random_direction": "diagnostics.landscape.directions",
    "Landscape": "results.landscape",
    "Axis": "diagnostics.landscape.planes",
    "eigen_plane": "diagnostics.landscape.planes",
    "line": "diagnostics.landscape.planes",
    "plane": "diagnostics.landscape.planes",
    "surface_over": "diagnostics.landscape.planes",
    "interpolate": "diagnostics.landscape.interpolation",
    "trajectory_plane": "diagnostics.landscape.trajectory",
    "AscentSharpness": "diagnostics.sharpness.ascent",
    "ascent_sharpness": "diagnostics.sharpness.ascent",
    "AverageSharpness": "diagnostics.sharpness.average",
    "average_sharpness": "diagnostics.sharpness.average",
    "KeskarSharpness": "diagnostics.sharpness.keskar",
    "keskar_sharpness": "diagnostics.sharpness.keskar",
    "sharpness_table": "diagnostics.sharpness.table",
    "RankCorrelation": "results.sharpness",
    "correlate_with_gap": "results.sharpness",
    "kendall_tau": "results.sharpness",
    "normalised_gap": "results.sharpness",
    "generalization_gap": "diagnostics.probes.generalization",
    "feature_similarity": "diagnostics.probes.representations",
    "gradient_alignment": "diagnostics.probes.representations",
    "gradient_norms": "diagnostics.probes.representations",
    "linear_cka": "diagnostics.probes.representations",
    "linear_probe": "diagnostics.probes.representations",
    "missing_modality_curve": "diagnostics.probes.robustness",
    "noisy_modality_curve": "diagnostics.probes.robustness",
    "AlignmentProbe": "diagnostics.probes.trainer_probes",
    "LinearProbe": "diagnostics.probes.trainer_probes",
    "SharpnessProbe": "diagnostics.probes.trainer_probes",
    "TraceProbe": "diagnostics.probes.trainer_probes",
    "as_probe": "diagnostics.probes.trainer_probes",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'msam_lib.diagnostics' has no attribute {name!r}")
    return getattr(import_module(f"msam_lib.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
