"""`Encoder`, the base class, with frozen lower layers; and the multilayer perceptron, which reads
samples of any shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Self

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from msam_lib.errors import MsamError
from msam_lib.models.base import Layout


class Encoder(nn.Module):
    """Base class: a module with features of size `dim`."""

    dim: int
    layout = Layout()  # of features that have parts
    still: Sequence[nn.Module] = ()  # frozen batch norms, which stay in evaluation mode

    def blocks(self) -> Sequence[nn.Module]:
        """The repeated blocks, the lowest first; empty for an encoder without."""
        return ()

    def top(self) -> Sequence[nn.Parameter]:
        """The parameters above the last block."""
        return ()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        # A frozen layer must not move, and running statistics would.
        for norm in self.still:
            norm.eval()
        return self


def freeze(encoder: Encoder, trainable: str) -> None:
    """Freeze parameters of an encoder, and the statistics of their batch normalisation.

    Args:
        encoder: with or without pretrained weights.
        trainable: what is still trained: `"all"`, `"none"`, or `"last:N"`, the last N blocks and
            what lies above them.

    Raises:
        MsamError: another value, or the encoder has no such blocks.
    """
    if trainable == "all":
        return
    match = re.fullmatch(r"last:(\d+)", str(trainable))
    if trainable != "none" and not match:
        raise MsamError(f"trainable={trainable!r}; use 'all', 'none' or 'last:N', say 'last:2'.")
    blocks, top = list(encoder.blocks()), list(encoder.top())
    n = int(match[1]) if match else 0
    if match and not 1 <= n <= len(blocks):
        raise MsamError(
            f"trainable={trainable!r}: {type(encoder).__name__} has {len(blocks)} blocks. "
            + (f"N is 1 to {len(blocks)}; " if blocks else "Use 'all'; ")
            + "'none' freezes the whole encoder."
        )
    kept = {id(p) for block in blocks[len(blocks) - n :] for p in block.parameters()}
    kept |= {id(p) for p in top} if match else set()
    for p in encoder.parameters():
        if id(p) not in kept:
            p.requires_grad_(False)
    norms = [m for m in encoder.modules() if isinstance(m, _BatchNorm)]
    encoder.still = [m for m in norms if not any(p.requires_grad for p in m.parameters())]
    encoder.train(encoder.training)


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
