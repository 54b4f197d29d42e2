"""A step in two halves, and on micro-batches: the step that the whole batch would give."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from msam_lib.data import Batch
from msam_lib.data.containers import gathered
from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.methods import METHODS, build_method
from msam_lib.models import wrap
from tests.helpers import CLASSES, distance, make_batch, names, sgd
from tests.method_variants import QUIET
from tests.test_methods import EVERY, allowed, label, model_for

SIZES = (5, 4, 3)
SEVERAL = sorted(n for n in METHODS if METHODS[n].several_steps)


def settings(fusions):
    for fusion in fusions:
        for m in (2, 3):
            for name, options in EVERY:
                if allowed(name, m, fusion):
                    test = f"{fusion}-{m}-{label((name, options))}"
                    yield pytest.param(fusion, m, name, options, id=test)


def parts_of(batch: Batch) -> list[Batch]:
    cuts = [batch.targets.split(SIZES), *(x.split(SIZES) for x in batch.inputs.values())]
    return [
        Batch(dict(zip(batch.inputs, inputs, strict=True)), targets)
        for targets, *inputs in zip(*cuts, strict=True)
    ]


def trained(model, method, batches, *, lr=0.1, halves=False):
    """A copy of the model after these batches (or lists of micro-batches)."""
    model, method = copy.deepcopy(model), copy.deepcopy(method)
    model.train()
    optimizer = sgd(model, lr, momentum=0.9)
    torch.manual_seed(7)
    for batch in batches:
        if halves:
            method.compute_gradients(model, batch, optimizer)
            method.update(model, optimizer)
        else:
            method.step(model, batch, optimizer)
    return model


@pytest.mark.parametrize(
    ("fusion", "m", "name", "options"), list(settings(["late", "maxout", "lnln"]))
)
def test_the_two_halves_are_the_step(fusion, m, name, options):
    model, method = model_for(name, options, fusion, m), build_method(name, **options)
    batches = [make_batch(m, seed=s) for s in (1, 2, 3)]
    if METHODS[name].several_steps:
        with pytest.raises(UnsupportedSetting, match="several optimizer steps"):
            method.compute_gradients(model, batches[0])
        return
    whole = trained(model, method, batches)
    assert distance(trained(model, method, batches, halves=True), whole) == 0.0
    assert distance(whole, model) > 0


@pytest.mark.parametrize(
    ("fusion", "m", "name", "options"), list(settings(["late", "concat", "maxout", "lnln"]))
)
def test_micro_batches_are_one_batch(fusion, m, name, options):
    options = options | QUIET.get(name, {})
    more = {"encoder": "mlp", "dropout": 0.0}  # encoders without batch norm
    model, method = model_for(name, options, fusion, m, **more), build_method(name, **options)
    batches = [make_batch(m, seed=s) for s in (1, 2, 3)]
    rate = 0.02 if name == "lnln" else 0.1
    whole = trained(model, method, batches, lr=rate)
    parts = trained(model, method, [parts_of(b) for b in batches], lr=rate)
    # MaxOut normalises twelve samples by their own statistics, which magnifies rounding
    assert distance(parts, whole) < (3e-5 if fusion == "maxout" else 2e-6)
    assert distance(whole, model) > 1e-4
    assert parts.micro_sizes == ()


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(36, 40), nn.Linear(5, 40)
        self.out = nn.Sequential(nn.Tanh(), nn.Linear(80, 80), nn.Tanh(), nn.Linear(80, CLASSES))

    def forward(self, x1, x2):
        return self.out(torch.cat([self.a(x1.flatten(1)), self.b(x2)], dim=1))


@pytest.mark.parametrize("name", ["joint", "sam", "msam", "x_sam", "modality_dropout"])
def test_micro_batches_of_a_wrapped_module(name):
    torch.manual_seed(0)
    net = _Net()
    model = wrap(net, names(2), call="kwargs", encoders={"x1": net.a, "x2": net.b})
    method = build_method(name, **QUIET.get(name, {}))
    batch = make_batch(2)
    whole = trained(model, method, [batch])
    assert distance(trained(model, method, [parts_of(batch)]), whole) < 2e-6


def saved_bytes(run) -> int:
    """What autograd keeps between a forward and its backward pass."""
    total = 0

    def pack(tensor):
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        run()
    return total


def test_parts_keep_no_activations():
    net = _Net()
    model, method = wrap(net, names(2), call="kwargs"), build_method("joint")
    batch = make_batch(2, n=12)
    whole = saved_bytes(lambda: method.compute(model, batch))
    from msam_lib.models.micro_batches import micro_batches

    with micro_batches(model, SIZES):
        parts = saved_bytes(lambda: method.compute(model, batch))
    assert parts < 0.2 * whole


def test_batch_norm_advances_once_per_part():
    model = model_for("joint", {}, "late", 2)
    norms = [b for n, b in model.named_buffers() if n.endswith("num_batches_tracked")]
    build_method("joint").step(model, parts_of(make_batch(2)), sgd(model))
    assert norms and {int(b) for b in norms} == {len(SIZES)}


def test_gathered_refuses_nothing_and_keeps_indices():
    with pytest.raises(MsamError, match="empty list of micro-batches"):
        gathered([])
    batch = make_batch(2)
    indexed = [p._replace(index=torch.arange(len(p.targets))) for p in parts_of(batch)]
    whole, sizes = gathered(indexed)
    assert sizes == SIZES and torch.equal(whole.targets, batch.targets)
    assert whole.index is not None and len(whole.index) == sum(SIZES)


def test_a_clipped_step_is_as_long_as_the_limit_and_points_the_same_way():
    plain = model_for("joint", {})
    clipped = copy.deepcopy(plain)
    moves = []
    for model, limit in ((plain, None), (clipped, 1e-3)):
        method, before = build_method("joint"), nn.utils.parameters_to_vector(model.parameters())
        method.clip_norm = limit
        method.step(model, make_batch(), sgd(model, 1.0))
        moves.append((nn.utils.parameters_to_vector(model.parameters()) - before).detach())
    assert float(moves[1].norm()) == pytest.approx(1e-3, rel=1e-3)
    assert float(moves[0].norm()) > 1e-2
    assert float(torch.cosine_similarity(*moves, dim=0)) == pytest.approx(1, abs=1e-3)


def test_an_optimizer_with_a_closure_is_refused():
    model = model_for("joint", {}, "late", 2)
    optimizer = torch.optim.LBFGS(model.parameters())
    with pytest.raises(UnsupportedSetting, match="LBFGS"):
        build_method("joint").step(model, make_batch(2), optimizer)


def test_sparse_gradients_are_refused():
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(7, CLASSES, sparse=True)
            self.b = nn.Linear(5, CLASSES)

        def forward(self, x1, x2):
            return self.table(x1.long().clamp(0, 6)[:, 0, 0, 0]) + self.b(x2)

    model = wrap(Sparse(), names(2), call="kwargs")
    with pytest.raises(UnsupportedSetting, match="sparse=False"):
        build_method("joint").step(model, make_batch(2), sgd(model))


@pytest.mark.parametrize(
    ("name", "options"), [("momentum_sam", {}), ("msam", {"ascent": "momentum"})]
)
def test_a_method_that_looks_into_the_optimizer_asks_for_it(name, options):
    model = model_for(name, options, "late", 2)
    with pytest.raises(UnsupportedSetting, match="looks into the optimizer"):
        build_method(name, **options).compute_gradients(model, make_batch(2))


def test_which_methods_take_several_steps():
    assert SEVERAL == ["aug", "mla"]
