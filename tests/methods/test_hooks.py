"""What methods may look at and touch between epochs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from msam_lib.data import BatchLoader, MultimodalDataset
from msam_lib.methods import METHODS, build_method
from tests.helpers import buffers, make_batch, sgd
from tests.test_methods import model_for

# Options that make every hook act at once.
OPTIONS = {
    "diagnose_relearn": {"period": 1},
    "lfm": {"weights": "learned"},
    "sample_valuation": {"warmup": 0},
    "umt": {"teacher_epochs": 1},
    "g2d": {"teacher_epochs": 1},
    "mses": {"patience": 1},
    "mslr": {"window": 1},
    "gblend": {"super_epoch": 1},
}


def samples(n, seed):
    batch = make_batch(2, n, seed=seed)
    return MultimodalDataset(batch.inputs, batch.targets)


@pytest.mark.parametrize("name", METHODS)
def test_hooks_read_training_and_validation_only_and_leave_the_model_as_it_is(name):
    # no other split is there: it cannot decide anything
    loaders = SimpleNamespace(
        train=BatchLoader(samples(24, 1), 12), evaluation={"val": samples(24, 2)}
    )
    options = OPTIONS.get(name, {})
    model, method = model_for(name, options), build_method(name, **options)
    method.setup(model)
    method.total_epochs = 3
    model.train()
    for epoch in range(3):
        before = buffers(model)
        method.on_epoch_start(model, epoch, loaders)
        assert_same(model, before)
        method.step(model, make_batch(2, 12, seed=epoch), sgd(model))
        before = buffers(model)
        method.on_epoch_end(model, epoch + 1, loaders, None)
        if name != "mses":  # which brings the statistics of an earlier epoch back
            assert_same(model, before)


def assert_same(model, before):
    """In training mode as before, and no statistic has moved."""
    assert all(m.training for m in model.modules())
    assert all(torch.equal(b, before[k]) for k, b in buffers(model).items())
