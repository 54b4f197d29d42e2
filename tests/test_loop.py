"""What the loop does in every step and epoch, seen by a method that writes it down."""

from __future__ import annotations

import itertools

import pytest
import torch

from msam_lib.data import load_dataset
from msam_lib.errors import NonFiniteLoss
from msam_lib.experiments.build import build_trainer, untrained_model
from msam_lib.methods.base import Method
from msam_lib.training import (
    OPTIMIZERS,
    Loaders,
    Record,
    Trainer,
    build_optimizer,
    build_schedule,
)
from tests.helpers import make_model, sgd
from tests.test_training import SMALL, small


class Writing(Method):
    """Ordinary training; keeps what each step saw."""

    def __init__(self):
        super().__init__()
        self.modes, self.order, self.rates, self.losses = [], [], [], []

    def step(self, model, batch, optimizer):
        self.modes.append(all(m.training for m in model.modules()))
        self.order.append(batch.index.tolist())
        self.rates.append(optimizer.param_groups[0]["lr"])
        logs = super().step(model, batch, optimizer)
        self.losses.append(float(logs["loss"]))
        return logs


def trained(epochs=2, batch_size=16, data_options=SMALL, **options):
    data = load_dataset("synthetic", **data_options)
    model, method = untrained_model(small(), data), Writing()
    optimizer = sgd(model, 0.1)
    schedule = build_schedule(optimizer, "step", steps=100, period=3)
    loaders = Loaders.of(data, batch_size)
    model.eval()  # as after loading: the loop has to switch it
    trainer = Trainer(
        model, method, loaders, optimizer=optimizer, scheduler=schedule, device="cpu", **options
    )
    trainer.fit(epochs)
    return trainer, method


def test_every_step_is_in_training_mode():
    def careless(model, epoch, loaders):
        model.eval()
        return []

    _, method = trained(probes=[careless])
    assert len(method.modes) == 2 * 8 and all(method.modes)


def test_every_epoch_sees_every_sample_in_an_order_of_its_own():
    _, method = trained()
    first, second = ([*itertools.chain(*part)] for part in (method.order[:8], method.order[8:]))
    assert sorted(first) == sorted(second) == list(range(120))
    assert first != second


def test_the_rate_follows_the_schedule_step_by_step():
    _, method = trained(epochs=1)
    expected = [0.1 * 0.1 ** (step // 3) for step in range(8)]
    assert method.rates == pytest.approx(expected)


def test_what_is_logged_is_the_mean_over_an_epochs_steps():
    trainer, method = trained()
    rows = [r for r in trainer.history.records if (r.split, r.metric) == ("step", "loss")]
    expected = [sum(part) / 8 for part in (method.losses[:8], method.losses[8:])]
    assert [r.value for r in rows] == pytest.approx(expected)
    assert [(r.epoch, r.step) for r in rows] == [(1, 8), (2, 16)]


def test_contributions_within_classes_are_measured_on_the_test_split():
    trainer, _ = trained(epochs=1)
    kept = trainer.history.records
    splits = {r.split for r in kept if r.metric.startswith("contribution/")}
    assert splits == {"test"}


def test_a_single_last_sample_is_left_out():
    _, method = trained(epochs=1, data_options=SMALL | {"n_train": 33})
    assert [len(x) for x in method.order] == [16, 16]
    _, method = trained(epochs=1, data_options=SMALL | {"n_train": 34})
    assert [len(x) for x in method.order] == [16, 16, 2]


def test_the_part_of_training_that_is_measured_is_always_the_same():
    data, parts = load_dataset("synthetic", **SMALL), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        parts.append(Loaders.of(data, seed=seed, train_part=30).evaluation["train"].targets)
    assert torch.equal(*parts)
    assert not torch.equal(parts[0], data.train.targets[:30])


@pytest.mark.parametrize("loss", ["inf", "-inf", "nan"])
def test_a_loss_that_is_no_number_stops_the_training(loss):
    trainer = build_trainer(small())
    trainer.method.step = lambda *args: {"loss": float(loss)}
    with pytest.raises(NonFiniteLoss, match=f"became {loss} in epoch 1, step 1"):
        trainer.fit(1)


def test_the_bar_names_the_dominant_modality():
    trainer, _ = trained(epochs=1)
    for low, high in (("x1", "x2"), ("x2", "x1")):
        shares = {low: 0.2, high: 0.8}
        trainer.history.extend(
            Record(1, 1, "test", m, "contribution", v) for m, v in shares.items()
        )
        assert trainer._postfix().endswith(f"dominant {high}")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimizer_gets_what_was_asked_for(name):
    weights = make_model().parameters()
    group = build_optimizer(weights, name, lr=0.3, momentum=0.8, weight_decay=0.02).param_groups[0]
    momentum = group["momentum"] if name == "sgd" else group["betas"][0]
    assert (group["lr"], momentum, group["weight_decay"]) == (0.3, 0.8, 0.02)


def test_an_experiments_limit_reaches_the_method():
    assert build_trainer(small(clip_norm=0.5)).method.clip_norm == 0.5
    assert build_trainer(small()).method.clip_norm is None
