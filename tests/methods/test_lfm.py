"""LFM: the divergence by hand, the weights' schedule, and the learned weight's gradient."""

from __future__ import annotations

import math

import pytest
import torch

from msam_lib.data import load_dataset
from msam_lib.errors import MsamError
from msam_lib.methods import build_method
from msam_lib.models import Output, build_model
from msam_lib.training import Loaders, Trainer
from tests.helpers import make_batch

P, Q = torch.tensor([0.8, 0.2]), torch.tensor([0.4, 0.6])


def kl(p, q):
    return sum(float(a) * math.log(float(a) / float(b)) for a, b in zip(p, q, strict=True))


def test_divergence_by_hand():
    logits = torch.stack([P.log(), Q.log()])[:, None]  # (2, 1, 2)
    middle = (P + Q) / 2
    paper = build_method("lfm").divergence(logits)
    assert float(paper) == pytest.approx((kl(P, middle) + kl(Q, middle)) / 2, abs=1e-6)
    released = build_method("lfm", variant="released").divergence(logits)
    assert float(released) == pytest.approx((kl(middle, P) + kl(middle, Q)) / 2, abs=1e-6)
    assert float(paper) != pytest.approx(float(released), abs=1e-3)


def test_loss_by_hand():
    rule = build_method("lfm", weights="fixed", start=0.25)
    z1, z2 = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    batch = make_batch(n=1)._replace(targets=torch.tensor([0]))
    found = rule.loss(Output(z1 + z2, {}, {"x1": z1, "x2": z2}), batch)
    mean = (z1 + z2)[0] / 2
    ce = -float(mean.log_softmax(-1)[0])
    js = float(rule.divergence(torch.stack([z1, z2])))
    assert float(found) == pytest.approx(2 * (0.75 * ce + 0.25 * js), abs=1e-6)


def gap_weights(rule, total, epochs):
    rule.total_epochs, found = total, []
    for epoch in epochs:
        rule.on_epoch_start(None, epoch, None)
        found.append(rule.memory["gap_weight"])
    return found


def test_the_schedule_is_spread_over_the_run():
    # between its points straight lines: 30 % is halfway between 10 and 50 %
    points, expected = [0, 10, 30, 50, 100, 150], [0.795, 0.70, 0.58, 0.46, 0.08, 0.08]
    assert gap_weights(build_method("lfm"), 101, points) == pytest.approx(expected)
    tenth = [e / 10 for e in points]
    assert gap_weights(build_method("lfm", epochs=11), 101, tenth) == pytest.approx(expected)
    half = gap_weights(build_method("lfm", start=0.3975), 101, points)
    assert half == pytest.approx([a / 2 for a in expected])
    assert gap_weights(build_method("lfm"), None, [0, 199]) == pytest.approx([0.795, 0.08])
    assert gap_weights(build_method("lfm"), 1, [0]) == pytest.approx([0.795])
    assert gap_weights(build_method("lfm", weights="fixed", start=0.4), 9, [0, 8]) == [0.4, 0.4]


def test_the_trainer_says_how_long_the_run_is():
    data = load_dataset("synthetic", n_train=200, n_val=64, n_test=60)
    model, rule = build_model(data, width=2), build_method("lfm")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    Trainer(model, rule, data, optimizer=optimizer, progress=False).fit(3)
    assert rule.total_epochs == 3
    assert rule.memory["gap_weight"] == pytest.approx(0.08)


def test_the_learned_weight_follows_the_validation_loss():
    data = load_dataset("synthetic", n_train=200, n_val=64, n_test=60)
    torch.manual_seed(0)
    model = build_model(data, width=2)
    loaders = Loaders.of(data)
    rule = build_method("lfm", weights="learned", start=0.5, weight_lr=1e-3)
    rule.setup(model)

    def after(a, step=1e-3):
        """Validation loss after one gradient step with weight a (evaluation mode)."""
        import copy

        from msam_lib.data import BatchLoader

        net = copy.deepcopy(model).eval()
        train = next(iter(BatchLoader(data.train, 64, shuffle=True, seed=0)))
        held = next(iter(BatchLoader(data.val, 64, shuffle=True, seed=0)))
        rule.memory["gap_weight"] = a
        rule.loss(net(train.inputs), train).backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= step * p.grad
            return float(rule.terms(net(held.inputs), held)[0])

    slope = (after(0.6) - after(0.4)) / 0.2 / 1e-3  # per unit of a_1 and of step size
    rule.memory["gap_weight"] = 0.5
    rule.on_epoch_start(model, 0, loaders)
    assert (0.5 - rule.memory["gap_weight"]) / 1e-3 == pytest.approx(slope, rel=0.05)
    assert slope != pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "lerned"}, "Did you mean 'learned'"),
        ({"start": 1.0}, "start=1.0"),
        ({"variant": "release"}, "Did you mean 'released'"),
        ({"epochs": 0}, "epochs=0"),
        ({"weight_lr": 0}, "weight_lr=0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        build_method("lfm", **options)
