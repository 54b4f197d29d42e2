"""Every method trains a model whose encoders are compiled as it trains the model itself."""

from __future__ import annotations

import copy

import pytest
import torch

from msam_lib.methods import METHODS, build_method
from msam_lib.methods._compiled import USES
from tests.helpers import distance, make_batch, sgd
from tests.method_variants import VARIANTS
from tests.test_methods import label, model_for

CASES = [(n, {}) for n in METHODS]
CASES += [(n, o) for n, o in VARIANTS if METHODS[n].graph_use != "once"]


@pytest.mark.parametrize(("name", "options"), CASES, ids=list(map(label, CASES)))
def test_a_compiled_model_takes_the_same_steps(name, options):
    torch._dynamo.reset()
    model = model_for(name, options, "late", 2, encoder="mlp")
    compiled = copy.deepcopy(model)
    for encoder in compiled.encoders.values():
        encoder.compile(backend="aot_eager")
    for one in (model, compiled):
        method, optimizer = build_method(name, **options), sgd(one, 0.1, 0.9)
        torch.manual_seed(3)
        for seed in (1, 2):
            method.step(one, make_batch(2, seed=seed), optimizer)
    assert distance(model, compiled) < 1e-5


def test_uses_are_known():
    assert {cls.graph_use for cls in METHODS.values()} == set(USES)
