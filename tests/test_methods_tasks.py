"""Every method with every task: it trains, or it refuses with advice."""

import pytest
import torch

from msam_lib.data import Batch, Modality, MultimodalDataset
from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.methods import METHODS, build_method, capabilities
from msam_lib.models import build_model
from msam_lib.tasks import KINDS, Classification, Multilabel, Regression, SegmentClassification
from msam_lib.training import evaluate
from tests.helpers import distance, sgd

N = 48
TASKS = {
    "classification": Classification(3),
    "multilabel": Multilabel(4, prevalence=(0.2, 0.5, 0.3, 0.6)),
    "regression": Regression("huber"),
    "segments": SegmentClassification(3, segments=4),
}
SPECS = {"x1": Modality("vector", (6,)), "x2": Modality("vector", (4,))}
SEQUENCES = {"x1": Modality("sequence", (4, 6)), "x2": Modality("sequence", (4, 4))}
PAIRS = [(kind, name) for kind in KINDS for name in METHODS]


def problem(task, fusion="late", **options):
    """A model, and a batch whose targets follow from both modalities."""
    torch.manual_seed(3)
    specs = SEQUENCES if task.kind == "segments" else SPECS
    parts = task.segments
    options |= {"classes": task.outputs // parts, "segments": parts, "width": 2}
    model = build_model(specs, fusion, **options)
    inputs = {m: torch.randn(N, *s.shape) for m, s in specs.items()}
    signal = inputs["x1"][..., :4] + inputs["x2"]
    if task.kind in ("classification", "segments"):
        targets = signal[..., :3].argmax(-1)
    elif task.kind == "multilabel":
        targets = (signal > 0).float()
    else:
        targets = signal[:, 0]
    return model, Batch(inputs, targets)


def model_for(name, task):
    cls = METHODS[name]
    fusion = cls.fusions[0] if cls.fusions else "late"
    model, batch = problem(task, fusion)
    if not build_method(name).needs() <= capabilities(model):
        model, batch = problem(task, fusion, unimodal_heads=True)
    return model, batch


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_a_method_trains_or_refuses_with_advice(kind, name):
    task, method = TASKS[kind], build_method(name)
    model, batch = model_for(name, task)
    if kind not in METHODS[name].tasks:
        with pytest.raises(UnsupportedSetting, match=f"is defined for .*Take a method for {kind}"):
            method.setup(model, task)
        return
    method.setup(model, task)
    model.train()
    optimizer = sgd(model, 0.05, momentum=0.9)
    before = float(task.loss(model(batch.inputs).logits.detach(), batch.targets))
    for _ in range(30):
        logs = method.step(model, batch, optimizer)
        assert all(torch.isfinite(torch.as_tensor(v)).all() for v in logs.values())
    assert float(task.loss(model.eval()(batch.inputs).logits, batch.targets)) < before


def test_most_methods_take_every_task():
    assert sum(set(KINDS) <= set(cls.tasks) for cls in METHODS.values()) >= 17
    assert all("classification" in cls.tasks for cls in METHODS.values())


@pytest.mark.parametrize("kind", ["multilabel", "regression", "segments"])
@pytest.mark.parametrize("reading", ["literal", "encoder", "unimodal_loss"])
def test_msam_takes_its_shares_from_the_tasks_own_value(kind, reading):
    task = TASKS[kind]
    model, batch = problem(task)
    method = build_method("msam", reading=reading)
    method.setup(model, task)
    logs = method.step(model, batch, sgd(model, 0.01))
    model, _ = problem(task)
    with torch.no_grad():
        features = model.eval().encode(batch.inputs)
        gone = model.absent_features(batch.inputs)

    def phi(*present):  # by hand: the other modality's features replaced
        mixed = {m: features[m] if m in present else gone[m].expand(N, -1) for m in SPECS}
        return float(task.value(model.fuse(mixed).logits.detach(), batch.targets))

    none, a, b, both = phi(), phi("x1"), phi("x2"), phi("x1", "x2")
    first = max(0.0, (a - none + both - b) / 2)
    second = max(0.0, (b - none + both - a) / 2)
    assert first + second > 0
    assert float(logs["share/x1"]) == pytest.approx(first / (first + second), abs=1e-5)


def test_the_accuracy_of_a_regression_is_refused():
    model, _ = problem(TASKS["regression"])
    with pytest.raises(MsamError, match=r"value='accuracy'.*Use value='task'"):
        build_method("msam", value="accuracy").setup(model, TASKS["regression"])


@pytest.mark.parametrize("kind", KINDS)
def test_evaluate_measures_the_headline_of_every_modality(kind):
    task = TASKS[kind]
    model, batch = problem(task)
    rows = evaluate(model, MultimodalDataset(batch.inputs, batch.targets), task=task)
    found = {(r.modality, r.metric): r.value for r in rows}
    logits = model.eval()(batch.inputs, present=["x1"]).logits.detach()
    assert found["x1", task.headline] == pytest.approx(task.headline_of(logits, batch.targets))
    every = task.metrics(model(batch.inputs).logits.detach(), batch.targets)
    assert {k: found["fused", k] for k in every} == pytest.approx(every)
    # efficiency: the Shapley values share the value among them
    values = [task.value(z.detach(), batch.targets) for z in whole_and_empty(model, batch)]
    total = found["x1", "phi"] + found["x2", "phi"]
    assert total == pytest.approx(float(values[0] - values[1]), abs=1e-6)


def whole_and_empty(model, batch):
    yield model(batch.inputs).logits
    yield model(batch.inputs, present=[]).logits.expand(N, -1)


def test_another_task_gives_another_step():
    """The methods ask the task for their loss, all of them."""
    for name in METHODS:
        if "regression" not in METHODS[name].tasks:
            continue
        found = []
        for loss in ("l1", "l2"):
            model, batch = model_for(name, Regression(loss))
            start, _ = model_for(name, Regression(loss))
            method = build_method(name)
            method.setup(model, Regression(loss))
            torch.manual_seed(5)
            method.step(model.train(), batch, sgd(model, 0.01))
            assert distance(model, start) > 0
            found.append(model)
        assert distance(*found) > 1e-5, name
