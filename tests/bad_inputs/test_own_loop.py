"""A step in somebody's own loop: batches, models and optimizers that do not fit each other."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from msam_lib.contributions import shapley_contributions
from msam_lib.data import Batch, MultimodalDataset
from msam_lib.errors import NonFiniteLoss
from msam_lib.methods import METHODS, Method, build_method
from msam_lib.models import MLP, MultimodalModel, build_fusion
from msam_lib.training import Trainer, evaluate
from tests.bad_inputs.expect import refused
from tests.helpers import CLASSES, make_batch, make_model, sgd, weights
from tests.test_methods import model_for

B = make_batch()


def changed(m: str, x) -> Batch:
    return B._replace(inputs=dict(B.inputs) | {m: x})


def with_value(value: float) -> Batch:
    x = B.inputs["x2"].clone()
    x[3, 1] = value
    return changed("x2", x)


Y = B.targets
BATCHES = {
    "float targets": (B._replace(targets=Y.float()), "torch.float32", "targets.long()"),
    "int32 targets": (B._replace(targets=Y.int()), "torch.int32", "targets.long()"),
    "one-hot targets": (B._replace(targets=torch.eye(3)[Y]), "(12, 3)", "targets.argmax(1)"),
    "column of targets": (B._replace(targets=Y[:, None]), "(12, 1)", "targets.flatten()"),
    "too few targets": (B._replace(targets=Y[:5]), "(5,)", "12 samples"),
    "class too large": (B._replace(targets=Y + 3), "3 classes", "from 0 to 2"),
    "negative class": (B._replace(targets=Y - 1), "-1", "3 classes"),
    "targets as a list": (B._replace(targets=Y.tolist()), "list", "torch.as_tensor"),
    "targets as numpy": (B._replace(targets=Y.numpy()), "ndarray", "torch.as_tensor"),
    "targets are None": (B._replace(targets=None), "NoneType", "tensor"),
    "numpy input": (changed("x2", B.inputs["x2"].numpy()), "'x2'", "ndarray", "torch.as_tensor"),
    "list input": (changed("x2", B.inputs["x2"].tolist()), "'x2'", "list"),
    "None input": (Batch({"x1": B.inputs["x1"]}, Y), "['x2']", "x1"),
    "unequal lengths": (changed("x2", B.inputs["x2"][:7]), "(7, 5)", "(12, 1, 6, 6)"),
    "empty batch": (Batch({m: x[:0] for m, x in B.inputs.items()}, Y[:0]), "(0, 5)", "1 or more"),
    "scalar input": (changed("x2", torch.tensor(1.0)), "()", "first dimension"),
    "wrong names": (Batch({"a": B.inputs["x1"], "b": B.inputs["x2"]}, Y), "['a', 'b']", "x1"),
    "inputs are a list": (Batch(list(B.inputs.values()), Y), "dictionary"),
    "wrong width": (changed("x2", torch.randn(12, 4)), "(12, 4)"),
    "wrong dimensions": (changed("x1", torch.randn(12, 36)), "(12, 36)"),
    "float64 input": (changed("x2", B.inputs["x2"].double()), "float64", "x.to(torch.float32)"),
    "float16 input": (changed("x2", B.inputs["x2"].half()), "float16", "x.to(torch.float32)"),
    "integer input": (changed("x2", B.inputs["x2"].long()), "int64", "x.to(torch.float32)"),
    "NaN input": (with_value(float("nan")), "'x2'", "1 of 12", "nan_to_num"),
    "infinite input": (with_value(float("inf")), "'x2'", "1 of 12", "nan_to_num"),
    "a pair": ((dict(B.inputs), Y), "tuple", "Batch("),
    "a dictionary": (dict(B.inputs), "dict", "Batch("),
    "an empty list": ([], "empty", "at least one"),
    "a bad part": ([B, B._replace(targets=Y.float())], "torch.float32", "targets.long()"),
}


@pytest.mark.parametrize("method", ["joint", "msam", "mla"])
@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_is_refused_and_the_weights_stay(case, method):
    batch, *words = BATCHES[case]
    model = model_for(method, {}, "late", 2)
    model.train()
    before, rule = weights(model), build_method(method)
    refused(lambda: rule.step(model, batch, sgd(model)), *words)
    assert all(torch.equal(before[k], p) for k, p in model.named_parameters())


@pytest.mark.parametrize(
    "case", [c for c in BATCHES if "NaN" not in c and "infinite" not in c]
)  # fmt: skip
def test_a_later_batch_is_refused_too(case):
    batch, *words = BATCHES[case]
    model, rule = make_model(), build_method("joint")
    optimizer = sgd(model)
    rule.step(model, B, optimizer)
    refused(lambda: rule.step(model, batch, optimizer), *words)


def test_gradients_that_are_not_finite_are_not_followed():
    class Overflow(Method):
        def loss(self, output, batch):
            return float("inf") * super().loss(output, batch)

    model = make_model()
    before = weights(model)
    with pytest.raises(NonFiniteLoss, match=r"no weight was changed\. Look for NaN"):
        Overflow().step(model, B, sgd(model))
    assert all(torch.equal(before[k], p) for k, p in model.named_parameters())


def test_models_and_optimizers_that_do_not_fit():
    model, rule = make_model(), build_method("sam")
    step = rule.step
    refused(lambda: step(model, B, sgd(make_model(seed=1))), "SGD", "model.parameters()")
    refused(lambda: step(model, B, sgd(copy.deepcopy(model))), "SGD", "model.parameters()")
    refused(lambda: step(model, B, "sgd"), "str", "torch.optim.SGD")
    refused(lambda: step(model, B, torch.optim.LBFGS(model.parameters())), "LBFGS", "AdamW")
    refused(lambda: step(nn.Linear(3, 2), B, sgd(model)), "Linear", "wrap(")
    optimizer = sgd(model)
    for p in model.parameters():
        p.requires_grad_(False)
    refused(lambda: step(model, B, optimizer), "frozen", "requires_grad")


def test_an_optimizer_over_a_part_of_the_model_is_allowed():
    model = make_model()
    optimizer = torch.optim.SGD(model.fusion.parameters(), lr=0.1)
    assert build_method("joint").step(model, B, optimizer)["loss"] > 0


@pytest.mark.parametrize(
    "method", [m for m in METHODS if "trained_encoders" in METHODS[m].requires]
)
def test_frozen_encoders_are_refused_where_their_gradients_are_compared(method):
    model = model_for(method, {}, "late", 2)
    model.encoders["x1"].requires_grad_(False)
    refused(lambda: build_method(method).step(model, B, sgd(model)), "'x1'", "frozen", "joint")


@pytest.mark.parametrize(
    "method", [m for m in METHODS if "separate_encoders" in METHODS[m].requires]
)
def test_shared_encoders_are_refused_where_they_are_treated_apart(method):
    encoder, dims = MLP(5, 8), {"x1": 8, "x2": 8}
    model = MultimodalModel(dict.fromkeys(dims, encoder), build_fusion("late", dims, CLASSES))
    batch = Batch({m: torch.randn(12, 5) for m in dims}, Y)
    step = build_method(method).step
    refused(lambda: step(model, batch, sgd(model)), "'x1'", "'x2'", "share one", "deepcopy")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
def test_models_of_other_precisions_are_trained_or_refused(method, dtype):
    model = model_for(method, {}, "late", 2).to(dtype).train()
    batch = Batch({m: x.to(dtype) for m, x in B.inputs.items()}, Y)
    rule = build_method(method)
    rule.setup(model)
    for _ in range(2):
        assert torch.isfinite(torch.as_tensor(rule.step(model, batch, sgd(model))["loss"]))


@pytest.mark.parametrize(
    "case", [c for c, (b, *_) in BATCHES.items() if isinstance(b, Batch) and "NaN" not in c]
)  # fmt: skip
def test_contributions_check_their_inputs_alike(case):
    batch, *words = BATCHES[case]
    model = make_model()
    if isinstance(batch.inputs, dict):
        refused(lambda: shapley_contributions(model, batch.inputs, batch.targets), words[0])


def test_evaluate_checks_data_and_arguments():
    model, data = make_model(), MultimodalDataset(B.inputs, Y)
    refused(lambda: evaluate(model, MultimodalDataset(B.inputs, Y + 3)), "3 classes", "from 0 to 2")
    refused(lambda: evaluate(model, MultimodalDataset(B.inputs, Y.float())), "torch.float32")
    refused(lambda: evaluate(model, MultimodalDataset({"x1": B.inputs["x1"]}, Y)), "x2")
    refused(lambda: evaluate(model, B), "data", "MultimodalDataset")
    refused(lambda: evaluate(nn.Linear(2, 2), data), "Linear")
    refused(lambda: evaluate(model, data, batch_size=0), "batch_size", 0)
    refused(lambda: MultimodalDataset({"x1": B.inputs["x1"].numpy()}, Y), "ndarray", "x1")
    refused(lambda: MultimodalDataset(B.inputs, Y[:3]), "3", "12")
    refused(lambda: Trainer(model, "sam", None, optimizer=sgd(model)), "method", "'sam'")
