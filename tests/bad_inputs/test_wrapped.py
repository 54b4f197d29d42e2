"""`wrap`: modules that return something else than logits, wrong names, wrong encoders."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from msam_lib.data import Batch
from msam_lib.methods import build_method
from msam_lib.models import wrap
from tests.bad_inputs.expect import refused
from tests.helpers import sgd

INPUTS = {"x1": torch.randn(6, 3), "x2": torch.randn(6, 4)}
BATCH = Batch(INPUTS, torch.tensor([0, 1, 0, 1, 1, 0]))


class Net(nn.Module):
    """Two branches and a head, whose logits `returns` turns into something else."""

    def __init__(self, returns=lambda z: z) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(4, 2)
        self.returns = returns

    def forward(self, x1, x2):
        return self.returns(self.a(x1) + self.b(x2))


WRONG = {
    "tuple": (lambda z: (z, z), "tuple"),
    "dictionary": (lambda z: {"logits": z}, "dict"),
    "nothing": (lambda z: None, "NoneType"),
    "a number per sample": (lambda z: z[:, 0], "(6,)"),
    "three dimensions": (lambda z: z[:, None], "(6, 1, 2)"),
    "one row too few": (lambda z: z[1:], "(5, 2)"),
    "transposed": (lambda z: z.T, "(2, 6)"),
    "the mean": (lambda z: z.mean(), "()"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("method", ["joint", "msam"])
def test_a_module_that_returns_no_logits(case, method):
    returns, word = WRONG[case]
    model = wrap(Net(returns), ["x1", "x2"], call="args")
    refused(lambda: build_method(method).step(model, BATCH, sgd(model)), word, "logits (N, C)")


def test_classes_of_a_wrapped_module_are_known_before_the_loss():
    model = wrap(Net(), ["x1", "x2"], call="args")
    batch = BATCH._replace(targets=BATCH.targets + 1)
    refused(lambda: build_method("joint").step(model, batch, sgd(model)), "2 classes", "0 to 1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"modalities": ["x1", "x1"]}, ["x1", "different names"]),
        ({"modalities": []}, ["[]", "different names"]),
        ({"modalities": "x1"}, ["'x1'", "list"]),
        ({"modalities": ["x1", 2]}, ["2", "list"]),
        ({"modalities": ["x1", "fusion"]}, ["fusion"]),
        ({"modalities": ["x1", "x2"], "call": "keyword"}, ["keyword", "kwargs"]),
        ({"modalities": ["x1", "text"], "call": "kwargs"}, ["text", "x2"]),
        ({"modalities": ["x1", "x2", "x3"], "call": "args"}, ["x3", "2 argument"]),
        ({"modalities": ["x1", "x2"], "encoders": {"x9": Net().a}}, ["x9", "x1"]),
        ({"modalities": ["x1", "x2"], "encoders": {"x1": nn.Linear(3, 2)}}, ["x1", "no part"]),
        ({"modalities": ["x1", "x2"], "encoders": {"x1": "a"}}, ["x1", "str"]),
    ],
)
def test_wrong_names(arguments, words):
    refused(lambda: wrap(Net(), **arguments), *words)


def test_something_else_than_a_module():
    refused(lambda: wrap(lambda x: x, ["x1"]), "function", "nn.Module")
