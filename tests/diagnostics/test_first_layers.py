"""First layers prepared once for a whole plane, against the plain way through it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from msam_lib import diagnostics as d
from msam_lib.data import Batch, Modality, MultimodalDataset
from msam_lib.diagnostics.landscape._grid import Grid
from msam_lib.models import MultimodalModel, build_fusion, build_model
from tests.diagnostics.test_landscape import PAIRS, with_statistics
from tests.helpers import make_batch, make_model


class Stem(torch.nn.Module):
    """A first convolution of each kind, then batch normalisation; its output can be the feature."""

    def __init__(self, kind: str, *, bare: bool = False):
        super().__init__()
        options = {
            "padded": {"padding": 1},
            "strided": {"stride": 2, "dilation": 2, "padding": (2, 1), "bias": False},
            "same": {"padding": "same"},
            "circular": {"padding": 1, "padding_mode": "circular"},
            "wide": {"kernel_size": 7},
        }[kind]
        conv = torch.nn.Conv2d(1, 9, **({"kernel_size": 3} | options))
        rest = [] if bare else [torch.nn.BatchNorm2d(9), torch.nn.ReLU(inplace=True)]
        self.net, self.dim, self.bare = torch.nn.Sequential(conv, *rest), 9, bare

    def forward(self, x):
        h = self.net(x)
        return h[:, :, 0, 0] if self.bare else h.mean(dim=(2, 3))


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("kind", ["padded", "strided", "same", "circular", "wide"])
def test_prepared_first_layers_change_nothing(kind, bare):
    """Several batches of two sizes: no buffer may be overwritten while it is still read."""
    torch.manual_seed(0)
    batch = make_batch(2, 11)
    images = {m: torch.randn(11, 1, 8, 8) for m in batch.inputs}
    model = make_model("late", 2)
    model.encoders = torch.nn.ModuleDict({m: Stem(kind, bare=bare) for m in images})
    for fusion in ("late", "concat"):
        heads = build_fusion(fusion, dict.fromkeys(images, 9), 3)
        model = MultimodalModel(model.encoders, heads)
        with_statistics(model, batch._replace(inputs=images))
        data = MultimodalDataset(images, batch.targets % 3)
        for pair in PAIRS:
            options = {"steps": 3, "span": 0.5, "sampling": d.Sampling(batch_size=4)}
            plain = d.plane(model, data, *pair, cache=False, fast=False, **options)
            quick = d.plane(model, data, *pair, **options)
            assert quick.meta["folded"]
            np.testing.assert_allclose(quick.loss, plain.loss, rtol=1e-4)
            np.testing.assert_allclose(quick.accuracy, plain.accuracy)


def test_a_first_layer_of_few_channels_becomes_a_product():
    batch = make_batch(2, 16)
    images = {m: torch.randn(16, 1, 8, 8) for m in batch.inputs}
    specs = {m: Modality("image", (1, 8, 8)) for m in images}
    model = build_model(specs, classes=3, width=8)
    both = d.random_direction(model, seed=1), d.random_direction(model, seed=2)
    one = Batch(images, batch.targets % 3)
    grid = Grid(model, [one], both, sampling=d.Sampling(), cache=True, fast=True)
    assert grid.folded
    assert {type(k).__name__ for k in grid.mover.first_layers.known.values()} == {"_Product"}
    for _, base, first, second in grid.mover.parts.values():
        assert base.stride() == first.stride() == second.stride()
