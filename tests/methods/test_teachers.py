"""UMT and G2D: unimodal teachers, trained once, kept in the state, distilled; Greedy's gates."""

from __future__ import annotations

import copy

import pytest
import torch

from msam_lib.data import load_dataset
from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.experiments.build import build_trainer, run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.methods._teachers import Teachers
from msam_lib.models import build_model
from msam_lib.training import Loaders
from tests.helpers import make_batch, make_model, sgd, weights

SMALL = {"n_train": 160, "n_val": 40, "n_test": 120}
FEW = {"teacher_epochs": 6, "teacher_lr": 0.01}


@pytest.fixture
def data():
    return load_dataset("synthetic", snr=(3.0, 2.0), **SMALL)


def test_teachers_learn_and_draw_nothing_from_the_run(data):
    model = build_model(data, "maxout", width=4, hidden=(8, 6))
    before, state = weights(model), torch.get_rng_state()
    method = build_method("umt", **FEW)
    method.setup(model)
    method.on_epoch_start(model, 0, Loaders.of(data))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, before[k]) for k, p in model.named_parameters())
    test = data.test[torch.arange(120)]
    for z in method.teachers(test.inputs).logits.values():
        assert (z.argmax(1) == test.targets).float().mean() > 0.45  # four classes
    again = copy.deepcopy(method.teachers.state_dict())
    method.on_epoch_start(model, 0, Loaders.of(data))  # not twice
    assert all(torch.equal(v, again[k]) for k, v in method.teachers.named_parameters())


def test_the_order_of_the_modalities_does_not_matter(data):
    found = []
    for order in (("x1", "x2"), ("x2", "x1")):
        torch.manual_seed(0)
        model = build_model({m: data.modalities[m] for m in ("x1", "x2")}, classes=4, width=4)
        if order[0] == "x2":
            one = model
            model = build_model({m: data.modalities[m] for m in order}, classes=4, width=4)
            model.encoders.load_state_dict(one.encoders.state_dict())
        for m in order:  # random numbers within the encoders
            model.encoders[m] = torch.nn.Sequential(model.encoders[m], torch.nn.Dropout(0.3))
        method = build_method("g2d", **FEW)
        method.setup(model)
        method.on_epoch_start(model, 0, Loaders.of(data))
        found.append(method.teachers(data.test[torch.arange(9)].inputs))
    for m in ("x1", "x2"):
        assert torch.equal(found[0].logits[m], found[1].logits[m])


def test_distillation_draws_the_features_to_the_teachers(data):
    inputs = data.train[torch.arange(160)].inputs
    features, taught = {}, {}
    for weight in (0.0, 3.0):
        trainer = build_trainer(small(method="umt", method_options={"weight": weight, **FEW}))
        trainer.fit(12)
        teachers = trainer.method.teachers
        assert teachers.ready == (weight > 0)  # none are trained for nothing
        features[weight], taught = trainer.model.eval().encode(inputs), teachers(inputs).features
    gaps = [
        sum(float((h[m].detach() - taught[m]).square().mean()) for m in h)
        for h in features.values()
    ]
    assert gaps[1] < 0.4 * gaps[0]


def small(**changes):
    base = {"dataset": "synthetic", "epochs": 4, "width": 4, "device": "cpu", "fusion": "late"}
    options = {"snr": (3.0, 2.0), **SMALL}
    return Experiment(**(base | {"data_options": options, "batch_size": 32} | changes))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("umt", FEW),
        ("g2d", {"stage_epochs": 1, **FEW}),
        ("greedy", {"threshold": 0.0, "window": 3}),
        ("opm", {"warmup": 1}),
        ("amco", {}),
        ("arl", {"warmup": 2}),
        ("modality_dropout", {}),
    ],
)
def test_killed_and_resumed_equals_never_killed(name, options, tmp_path):
    experiment = small(method=name, method_options=options)
    whole = run_experiment(experiment, tmp_path / "whole")
    trainer = build_trainer(experiment, tmp_path / "killed")
    steps, inner = iter(range(13)), trainer.method.step

    def dying(*given):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return inner(*given)

    trainer.method.step = dying
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(experiment.epochs)
    resumed = run_experiment(experiment, tmp_path / "killed")
    for key, tensor in whole.load("model.pt").items():
        assert torch.equal(tensor, resumed.load("model.pt")[key]), key
    state = whole.load("checkpoint.pt")["method"]
    assert (name in ("umt", "g2d")) == any(k.startswith("teachers.") for k in state)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_only_the_weakest_encoder_learns_in_the_first_stage(variant):
    model = make_model(m=3)
    method = build_method("g2d", stage_epochs=2, variant=variant)
    method.setup(model)
    with torch.no_grad():  # confident of every class in turn: x2 least, x1 most
        for i, size in enumerate((3.0, 0.1, 1.0)):
            method.teachers.heads[i].bias.copy_(size * torch.tensor([1.0, 0.0, -1.0]))
    method.teachers.memory["ready"] = True
    batch = make_batch(3)._replace(targets=torch.zeros(12, dtype=torch.long))
    for epoch, leader in [(0, "x2"), (1, "x2"), (2, "x3"), (3, "x3"), (4, None)]:
        method.on_epoch_start(model, epoch, None)
        method.step(model, batch, sgd(model, lr=0.0))
        rho = method.confidence.tolist()
        assert rho[1] < rho[2] < rho[0]
        for name, p in model.named_parameters():
            waits = name.startswith("encoders.") and f".{leader}." not in name and leader
            waits = waits and (variant == "paper" or p.dim() == 4)
            assert bool(p.grad.any()) != bool(waits), (epoch, name)


def test_without_epochs_there_are_no_teachers():
    for name in ("umt", "g2d"):
        model = make_model()
        method = build_method(name)
        method.step(model, make_batch(), sgd(model))
        assert not method.teachers.ready
        assert all(not head.weight.any() for head in method.teachers.heads)


def test_teachers_stay_in_evaluation_mode():
    model, batch = make_model("maxout"), make_batch()
    teachers = Teachers(model).train()
    before = {k: v.clone() for k, v in teachers.named_buffers()}
    assert before  # batch normalisation
    first = teachers(batch.inputs)
    assert all(torch.equal(v, before[k]) for k, v in teachers.named_buffers())
    assert not first.features["x1"].requires_grad


def test_greedy_replaces_the_faster_modalitys_gates_by_their_average():
    model, batch = make_model(), make_batch()
    method = build_method("greedy", threshold=0.0, window=2)
    optimizer = sgd(model, lr=0.05)
    logs = [method.step(model, batch, optimizer) for _ in range(7)]
    chosen = [[m for m in ("x1", "x2") if one[f"rebalanced/{m}"]] for one in logs]
    assert [len(c) for c in chosen] == [
        0,
        1,
        1,
        0,
        1,
        1,
        0,
    ]  # one regular step, two of re-balancing
    method.memory["left"], method.memory["modality"] = 1, 1
    gates = method.gates(model.encode(batch.inputs))
    used = method._averaged(gates)
    assert torch.equal(used["x1"], gates["x1"]) and used["x2"].shape == gates["x2"].shape[1:]
    assert not used["x2"].requires_grad and torch.equal(used["x2"], method.average_1)


def test_greedy_refuses_fusions_without_branches():
    with pytest.raises(UnsupportedSetting, match="fusion='late'"):
        build_method("greedy").setup(make_model("maxout"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("umt", {"weight": -1.0}, "weight=-1.0"),
        ("umt", {"teacher_epochs": 0}, "teacher_epochs=0"),
        ("g2d", {"teacher_lr": 0.0}, "teacher_lr=0.0"),
        ("g2d", {"temperature": 0.0}, "temperature=0.0"),
        ("g2d", {"stage_epochs": -1}, "stage_epochs=-1"),
        ("g2d", {"variant": "relaesed"}, "Did you mean 'released'"),
        ("greedy", {"threshold": -1.0}, "threshold=-1.0"),
        ("greedy", {"window": 0}, "window=0"),
        ("greedy", {"ratio": 0.0}, "ratio=0.0"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
