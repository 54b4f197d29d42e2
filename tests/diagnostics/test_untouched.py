"""The model comes back as it was, after success and after every kind of failure."""

from __future__ import annotations

import pytest
import torch

from msam_lib import diagnostics as d
from msam_lib.data import Batch, MultimodalDataset
from msam_lib.errors import MsamError, NonFiniteLoss
from tests.diagnostics.tools import BOWL, EMPTY, Bowl, assert_untouched, disturb, fingerprint
from tests.helpers import make_batch, make_model

OTHER, TRAIN = make_model(seed=4), d.Sampling(mode="train")
RUNS = {
    "hvp": lambda m, b: d.HessianOperator(m, b, "x1").dense(),
    "traces": lambda m, b: d.block_traces(m, b, probes=2),
    "traces in train mode": lambda m, b: d.block_traces(m, b, probes=2, sampling=TRAIN),
    "hutch++": lambda m, b: d.hessian_trace(m, b, probes=3, estimator="hutch++"),
    "gauss-newton": lambda m, b: d.gauss_newton_traces(m, b, probes=2),
    "eigenvalues": lambda m, b: d.top_eigenvalues(m, b, "x2", k=1, iterations=4),
    "density": lambda m, b: d.spectral_density(m, b, probes=1, steps=3),
    "norms": lambda m, b: d.block_norms(m, b, probes=2),
    "line": lambda m, b: d.line(m, b, steps=3),
    "plane": lambda m, b: d.plane(m, b, "x1", "x2", steps=3),
    "plane in train mode": lambda m, b: d.plane(m, b, steps=3, sampling=TRAIN),
    "eigen plane": lambda m, b: d.eigen_plane(m, b, "x1", steps=3, iterations=5),
    "interpolation": lambda m, b: d.interpolate(m, OTHER, b, steps=3),
    "keskar": lambda m, b: d.keskar_sharpness(m, b, "x2", starts=1, iterations=2),
    "ascent": lambda m, b: d.ascent_sharpness(m, b, steps=2),
    "average": lambda m, b: d.average_sharpness(m, b, draws=2),
    "alignment": lambda m, b: d.gradient_alignment(m, b),
    "gradient norms": lambda m, b: d.gradient_norms(m, b),
    "similarity": lambda m, b: d.feature_similarity(m, b),
    "noise": lambda m, b: d.noisy_modality_curve(m, b, "x1", [0.0, 1.0]),
    "missing": lambda m, b: d.missing_modality_curve(m, b, [0.0, 1.0]),
}


@pytest.mark.parametrize("name", RUNS)
def test_model_is_left_as_found(name):
    model, batch = make_model("late", 2), make_batch(2, 12)
    disturb(model)
    before, rng = fingerprint(model), torch.get_rng_state()
    RUNS[name](model, batch)
    assert_untouched(model, before)
    assert torch.equal(rng, torch.get_rng_state())


MEASURES = ["traces", "gauss-newton", "eigenvalues", "plane", "keskar", "ascent", "average"]


@pytest.mark.parametrize("name", MEASURES)
def test_nan_loss(name):
    model, batch = make_model("late", 2), make_batch(2, 12)
    disturb(model)
    batch.inputs["x2"][3] = float("nan")
    before = fingerprint(model)
    with pytest.raises(NonFiniteLoss, match="nan"):
        RUNS[name](model, batch)
    assert_untouched(model, before)


@pytest.mark.parametrize("name", MEASURES)
def test_half_precision(name):
    model = make_model("late", 2).half()
    batch = make_batch(2, 12)
    before = fingerprint(model)
    with pytest.raises(MsamError, match="half precision"):
        RUNS[name](model, batch)
    assert_untouched(model, before)


@pytest.mark.parametrize("name", MEASURES)
def test_empty_data(name):
    model = make_model("late", 2)
    before = fingerprint(model)
    batch = make_batch(2, 12)
    nothing = MultimodalDataset({m: x[:0] for m, x in batch.inputs.items()}, batch.targets[:0])
    for empty in (nothing, [], nothing[:0]):
        with pytest.raises(MsamError, match="empty"):
            RUNS[name](model, empty)
    assert_untouched(model, before)


def test_blocks():
    bowl = Bowl(torch.eye(4), torch.ones(4))
    with pytest.raises(MsamError, match=r"'nothing' has no parameters; .* a, fusion"):
        d.hessian_trace(bowl, EMPTY, "nothing", sampling=BOWL)
    model, batch = make_model("late", 2), make_batch(2, 12)
    with pytest.raises(MsamError, match="Did you mean 'fusion'"):
        d.plane(model, batch, "fusoin")
    assert list(d.block_traces(bowl, EMPTY, probes=1, sampling=BOWL)) == ["a", "fusion", "total"]


def test_directions_and_vectors_of_the_wrong_shape():
    model, batch = make_model("late", 2), make_batch(2, 12)
    before = fingerprint(model)
    direction = d.random_direction(model, "x1")
    name = next(iter(direction))
    with pytest.raises(MsamError, match=f"{name}.*the parameter has"):
        d.line(model, batch, direction=direction | {name: torch.ones(2, 2)})
    with pytest.raises(MsamError, match="Unknown parameter in the direction"):
        d.line(model, batch, direction={"x9": torch.ones(2)})
    with pytest.raises(MsamError, match="this block needs"):
        d.hvp(model, batch, torch.ones(3), "x1")
    assert_untouched(model, before)


@pytest.mark.parametrize(
    "call",
    [
        lambda m, b: d.hessian_trace(m, b, probes=0),
        lambda m, b: d.hessian_trace(m, b, estimator="xtrace"),
        lambda m, b: d.top_eigenvalues(m, b, k=0),
        lambda m, b: d.top_eigenvalues(m, b, which="best"),
        lambda m, b: d.plane(m, b, steps=1),
        lambda m, b: d.plane(m, b, span=-1.0),
        lambda m, b: d.random_direction(m, normalise="filters"),
        lambda m, b: d.keskar_sharpness(m, b, epsilon=0),
        lambda m, b: d.keskar_sharpness(m, b, "fusion", subspace=10**6),
        lambda m, b: d.ascent_sharpness(m, b, rho=-1),
        lambda m, b: d.average_sharpness(m, b, draws=0),
    ],
)
def test_arguments(call):
    with pytest.raises(MsamError):
        call(make_model("late", 2), make_batch(2, 12))


def test_a_buffer_that_a_pass_changes_comes_back():
    model, batch = make_model("late", 2), make_batch(2, 12)
    model.register_buffer("passes", torch.zeros(()))
    model.register_forward_hook(lambda module, args, out: module.passes.add_(1) and None)
    disturb(model)
    before = fingerprint(model)
    d.block_norms(model, batch, probes=2)
    assert_untouched(model, before)


def test_an_interrupted_product_restores_too():
    model, batch = make_model("late", 2), make_batch(2, 12)
    disturb(model)
    before = fingerprint(model)

    def stopped(m: torch.nn.Module, b: Batch) -> torch.Tensor:
        m(b.inputs)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        d.hessian_trace(model, batch, sampling=d.Sampling(loss=stopped))
    assert_untouched(model, before)
