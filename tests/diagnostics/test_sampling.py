"""`Sampling`: what it allows, what each function makes of it, and which seed does what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from msam_lib import diagnostics as d
from msam_lib.data import MultimodalDataset
from msam_lib.diagnostics._samples import collect
from msam_lib.errors import MsamError
from tests.helpers import make_batch, make_model


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"samples": 0}, r"samples=0: give a whole number, 1 or larger; or None"),
        ({"batch_size": 0}, r"batch_size=0: give a whole number, 1 or larger"),
        ({"mode": "training"}, r"'training'. Did you mean 'train'"),
        ({"loss": "mse"}, r"loss='mse': give a function"),
    ],
)
def test_errors_name_the_value_and_what_is_allowed(argument, message):
    with pytest.raises(MsamError, match=message):
        d.Sampling(**argument)


@pytest.mark.parametrize(
    ("call", "sampling"),
    [
        (d.gauss_newton_traces, d.Sampling(loss=d.fused_loss)),
        (d.gradient_alignment, d.Sampling(loss=d.fused_loss)),
        (d.gradient_norms, d.Sampling(loss=d.fused_loss)),
        (d.feature_similarity, d.Sampling(mode="train")),
        (d.missing_modality_curve, d.Sampling(mode="train")),
        (lambda m, b, **o: d.noisy_modality_curve(m, b, "x1", **o), d.Sampling(mode="train")),
        (lambda m, b, **o: d.linear_probe(m, b, b, **o), d.Sampling(loss=d.fused_loss)),
    ],
)
def test_what_cannot_be_heeded_is_refused(call, sampling):
    with pytest.raises(MsamError, match="has no meaning for"):
        call(make_model("late", 2), make_batch(2, 12), sampling=sampling)


def data(n: int = 40) -> MultimodalDataset:
    batch = make_batch(2, n)
    return MultimodalDataset(batch.inputs, batch.targets)


def test_samples_are_drawn_once_and_split_into_batches():
    model, whole = make_model("late", 2), data()
    few = d.Sampling(samples=25, batch_size=10, seed=3)
    batches = collect(model, whole, few)
    assert [len(b.targets) for b in batches] == [10, 10, 5]
    rows = [x.flatten().tolist() for b in batches for x in b.inputs["x2"]]
    everything = [x.flatten().tolist() for x in whole.inputs["x2"]]
    places = [everything.index(r) for r in rows]
    assert places == sorted(set(places))
    again, other = (collect(model, whole, d.Sampling(samples=25, seed=s)) for s in (3, 4))
    assert torch.equal(torch.cat([b.targets for b in batches]), again[0].targets)
    assert not torch.equal(again[0].inputs["x2"], other[0].inputs["x2"])


RANDOM = {
    "trace": lambda m, x, **o: d.hessian_trace(m, x, "x2", probes=2, **o).value,
    "traces": lambda m, x, **o: d.block_traces(m, x, probes=2, **o)["total"].value,
    "gauss-newton": lambda m, x, **o: d.gauss_newton_traces(m, x, probes=2, **o)["total"].value,
    "norms": lambda m, x, **o: d.block_norms(m, x, probes=2, **o).norms,
    "density": lambda m, x, **o: d.spectral_density(m, x, "x2", probes=1, steps=3, **o).nodes,
    "line": lambda m, x, **o: d.line(m, x, steps=3, **o).loss,
    "plane": lambda m, x, **o: d.plane(m, x, steps=3, **o).loss,
    "average": lambda m, x, **o: d.average_sharpness(m, x, draws=2, **o).value,
    "noise": lambda m, x, **o: d.noisy_modality_curve(m, x, "x2", [10.0, 50.0], **o),
}


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_of_its_own_leaves_the_samples_alone(name):
    """The seed is that of the sampling unless given; given, it decides on the rest alone."""
    model, whole, measure = make_model("late", 2), data(), RANDOM[name]
    few = d.Sampling(samples=25, seed=3)
    part = collect(model, whole, few)[0]
    default, same = measure(model, whole, sampling=few), measure(model, whole, sampling=few, seed=3)
    np.testing.assert_array_equal(default, same)
    np.testing.assert_array_equal(
        measure(model, whole, sampling=few, seed=7), measure(model, part, seed=7)
    )
    assert not np.array_equal(default, measure(model, whole, sampling=few, seed=7))


def test_blocks_have_their_names_in_results():
    names = [d.modality_of(b) for b in ("x1", d.FUSION, d.ALL, d.TOTAL, ("x1", "x2"))]
    assert names == ["x1", "fusion", d.FUSED, d.FUSED, "x1+x2"]
