"""Small models, batches and step functions that several test files share."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from msam_lib.data import Batch, Modality
from msam_lib.methods import Method
from msam_lib.models import MultimodalModel, SmallCNN, build_fusion, build_model

CLASSES = 3
SPECS = {
    "x1": Modality("image", (1, 6, 6)),
    "x2": Modality("vector", (5,)),
    "x3": Modality("sequence", (4, 3)),
}


def names(m: int) -> list[str]:
    return list(SPECS)[:m]


def make_model(fusion: str = "late", m: int = 2, *, seed: int = 0, dropout: float = 0.3, **options):
    torch.manual_seed(seed)
    if fusion == "maxout":
        options = {"hidden": (7, 5), "dropout": dropout} | options
    return build_model({k: SPECS[k] for k in names(m)}, fusion, classes=CLASSES, width=2, **options)


def make_batch(m: int = 2, n: int = 12, *, seed: int = 1) -> Batch:
    g = torch.Generator().manual_seed(seed)
    inputs = {k: torch.randn(n, *SPECS[k].shape, generator=g) for k in names(m)}
    return Batch(inputs, torch.randint(CLASSES, (n,), generator=g))


def sgd(model: nn.Module, lr: float = 0.1, momentum: float = 0.0) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)


def steps(
    model: nn.Module, method: Method, batches: Sequence[Batch], *, lr: float = 0.1, momentum=0.0
):
    """Train a copy of the model on these batches; returns the copy."""
    model, method = copy.deepcopy(model), copy.deepcopy(method)
    model.train()
    optimizer = sgd(model, lr, momentum)
    torch.manual_seed(7)  # dropout
    for batch in batches:
        method.step(model, batch, optimizer)
    return model


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.named_parameters()}


def buffers(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.named_buffers()}


def distance(a: nn.Module, b: nn.Module) -> float:
    """Largest difference of two models' weights, by name."""
    other = dict(b.named_parameters())
    return max(float((p - other[k]).detach().abs().max()) for k, p in a.named_parameters())


def two_cnns(norm: bool = True) -> MultimodalModel:
    """Two encoders of equal cost with late fusion."""
    encoders = {"x1": SmallCNN(1, 4, norm=norm), "x2": SmallCNN(1, 4, norm=norm)}
    return MultimodalModel(encoders, build_fusion("late", {"x1": 16, "x2": 16}, CLASSES))
