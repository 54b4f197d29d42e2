"""`Encoder`, the base class, and the multilayer perceptron, which reads samples of any shape."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class Encoder(nn.Module):
    """Base class: a module with features of size `dim`."""

    dim: int


class MLP(Encoder):
    """Fully connected layers with ReLU on the flattened input: (N, ...) -> (N, dim).

    Args:
        inputs: values per sample.
        dim: size of the features.
        hidden: width of the hidden layers.
        depth: number of hidden layers.
    """

    def __init__(self, inputs: int, dim: int = 64, *, hidden: int = 64, depth: int = 1) -> None:
        super().__init__()
        self.dim = dim
        sizes = [inputs, *[hidden] * depth, dim]
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU(inplace=True)]
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(1))
