"""Properties that every method has, over fusions and numbers of modalities."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from msam_lib.data import Batch
from msam_lib.errors import UnsupportedSetting
from msam_lib.methods import METHODS, build_method, capabilities
from msam_lib.models import FUSIONS, MultimodalModel, build_fusion, wrap
from tests.helpers import CLASSES, buffers, distance, make_batch, make_model, sgd, steps, weights
from tests.method_variants import LATER, QUIET, RATES, VARIANTS

EVERY = [*((name, {}) for name in METHODS), *VARIANTS]


# LNLN's belongs to its own method; the guided one is of segments, see test_guided.py.
GENERAL = [f for f in FUSIONS if f not in ("lnln", "guided")]


def label(method):
    return "-".join([method[0], *(str(v) for v in method[1].values())])


def allowed(name, m, fusion="late"):
    cls = METHODS[name]
    return cls.modalities in ("any", str(m)) and fusion in (cls.fusions or GENERAL)


def model_for(name, options, fusion="late", m=2, **more):
    """A model that this method can train: with heads of their own where the fusion has none, and
    with its own fusion where it has one.
    """
    fusion = fusion if fusion in (METHODS[name].fusions or FUSIONS) else METHODS[name].fusions[0]
    needs = build_method(name, **options).needs()
    plain = make_model(fusion, m, **more)
    if needs <= capabilities(plain):
        return plain
    return make_model(fusion, m, unimodal_heads=True, **more)


def settings(methods=EVERY):
    for fusion in FUSIONS:
        for m in (2, 3):
            for name, options in methods:
                if allowed(name, m, fusion):
                    test = f"{fusion}-{m}-{label((name, options))}"
                    yield pytest.param(fusion, m, name, options, id=test)


every_setting = pytest.mark.parametrize(("fusion", "m", "name", "options"), list(settings()))
every_method = pytest.mark.parametrize(("name", "options"), EVERY, ids=list(map(label, EVERY)))


@every_setting
def test_a_step_with_no_learning_rate_restores_every_bit(fusion, m, name, options):
    model, method = model_for(name, options, fusion, m), build_method(name, **options)
    method.setup(model)
    optimizer, before = sgd(model, lr=0.0, momentum=0.9), weights(model)
    for seed in (1, 2):
        logs = method.step(model, make_batch(m, seed=seed), optimizer)
        assert torch.isfinite(torch.as_tensor(logs["loss"]))
    assert all(torch.equal(p, before[k]) for k, p in model.named_parameters())


@every_setting
def test_batch_norm_advances_exactly_once_a_step(fusion, m, name, options):
    model, batch = model_for(name, options, fusion, m), make_batch(m)
    once = copy.deepcopy(model)
    torch.manual_seed(3)  # the dropout between two batch norms
    once(batch.inputs)
    method = build_method(name, **(options | QUIET.get(name, {})))
    method.setup(model)
    torch.manual_seed(3)
    method.step(model, batch, sgd(model, lr=0.0))
    expected, found = buffers(once), buffers(model)
    for k, v in expected.items():
        assert torch.allclose(found[k].double(), v.double(), atol=1e-6), k
    counts = [int(v) for k, v in found.items() if k.endswith("num_batches_tracked")]
    assert set(counts) <= {1}


@every_setting
def test_same_seed_same_weights(fusion, m, name, options):
    model, method = model_for(name, options, fusion, m), build_method(name, **options)
    batches = [make_batch(m, seed=s) for s in (1, 2, 3)]
    runs = [steps(model, method, batches, momentum=0.9) for _ in range(2)]
    assert distance(*runs) == 0.0
    assert distance(runs[0], model) > 0


NEUTRAL = [(n, o) for n, o in EVERY if METHODS[n].neutral is not None]


@pytest.mark.parametrize(("fusion", "m", "name", "options"), list(settings(NEUTRAL)))
def test_neutral_options_are_joint_training(fusion, m, name, options):
    if options.get("reading") == "unimodal_loss":
        pytest.skip("its loss is not the fused one; test_msam.py holds its own closed form")
    model = model_for(name, options, fusion, m)
    batches = [make_batch(m, seed=s) for s in (1, 2)]
    neutral = build_method(name, **(options | METHODS[name].neutral))
    joint = steps(model, build_method("joint"), batches)
    assert distance(steps(model, neutral, batches), joint) < 1e-6
    assert distance(joint, model) > 1e-4


@pytest.mark.parametrize(
    ("fusion", "name", "options"),
    [
        pytest.param(f, n, o, id=f"{label((n, o))}-{f}")
        for f in FUSIONS
        for n, o in EVERY
        if allowed(n, 2, f)
    ],
)
def test_order_and_names_of_modalities_do_not_matter(fusion, name, options):
    model = model_for(name, options, fusion, dropout=0.0)
    renamed = {"x1": "zebra", "x2": "ant"}
    order = ("x1", "x2") if METHODS[name].ordered else ("x2", "x1")
    other = _renamed(model, fusion, renamed, order)
    batches = [make_batch(2, seed=s) for s in (1, 2)]
    named = [Batch({renamed[m]: b.inputs[m] for m in ("x2", "x1")}, b.targets) for b in batches]
    # a smooth value: exact ties of the batch accuracy are separated by name
    if name == "msam":
        options = {"value": "log_likelihood"} | options
    method = build_method(name, **(options | QUIET.get(name, {})))
    a, b = steps(model, method, batches, momentum=0.9), steps(other, method, named, momentum=0.9)
    probe = make_batch(2, seed=9)
    a.eval(), b.eval()
    expected = a(probe.inputs).logits
    assert torch.allclose(
        b({renamed[m]: x for m, x in probe.inputs.items()}).logits, expected, atol=1e-4
    )
    assert not torch.allclose(model.eval()(probe.inputs).logits, expected, atol=1e-4)


def _renamed(model, fusion, renamed, order):
    """The same function under other names and, unless the order is kept, in the other order."""
    dims = {m: model.fusion.dims[m] for m in order}
    options = {"hidden": (7, 5), "dropout": 0.0} if fusion == "maxout" else {}
    options |= {"leading": renamed["x1"]} if fusion == "lnln" else {}
    encoders = {renamed[m]: copy.deepcopy(model.encoders[m]) for m in dims}
    new = build_fusion(fusion, {renamed[m]: d for m, d in dims.items()}, CLASSES, **options)
    state = {}
    for key, value in model.fusion.state_dict().items():
        for old, fresh in renamed.items():
            key = key.replace(f".{old}.", f".{fresh}.")
        state[key] = value
    split = model.fusion.dims["x1"]
    for key, value in state.items():  # inputs of a concatenation come in the other order
        if order[0] != "x1" and value.dim() and value.shape[-1] == sum(dims.values()):
            state[key] = torch.cat([value[..., split:], value[..., :split]], dim=-1)
    new.load_state_dict(state)
    heads = model.heads is not None
    out = MultimodalModel(encoders, new, unimodal_heads=heads)
    if heads:
        out.heads.load_state_dict(
            {f"{renamed[m]}.{k}": v for m in order for k, v in model.heads[m].state_dict().items()}
        )
    return out


@pytest.mark.parametrize("m", [2, 3])
@every_method
def test_the_loss_falls(m, name, options):
    if METHODS[name].modalities not in ("any", str(m)):
        pytest.skip(f"defined for {METHODS[name].modalities} modalities")
    options = LATER.get(name, {}) | options
    model, method = model_for(name, options, m=m), build_method(name, **options)
    optimizer = sgd(model, 0.02 if name == "lnln" else 0.1, 0.9)
    losses = [float(method.step(model, make_batch(m), optimizer)["loss"]) for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]


@every_method
def test_state_dict_makes_resuming_exact(name, options):
    model, method = model_for(name, options), build_method(name, **options)
    optimizer = sgd(model, 0.1, 0.9)
    for seed in (1, 2):
        method.step(model, make_batch(seed=seed), optimizer)
    again, fresh = model_for(name, options, seed=5), build_method(name, **options)
    fresh.setup(again)
    resumed = sgd(again, 0.1, 0.9)
    again.load_state_dict(model.state_dict())
    fresh.load_state_dict(method.state_dict())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for m, one, o in [(model, method, optimizer), (again, fresh, resumed)]:
        torch.manual_seed(11)  # the trainer brings random states back
        one.step(m, make_batch(seed=3), o)
    assert distance(model, again) == 0.0


@every_method
def test_a_plain_module_can_be_trained(name, options):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(36, 4), nn.Linear(5, 4)
            self.out = nn.Linear(8, CLASSES)

        def forward(self, x1, x2):
            return self.out(torch.cat([self.a(x1.flatten(1)), self.b(x2)], dim=1))

    net = Net()
    model = wrap(net, ["x1", "x2"], call="kwargs", encoders={"x1": net.a, "x2": net.b})
    method = build_method(name, **options)
    if not method.needs() <= capabilities(model):
        with pytest.raises(
            UnsupportedSetting, match=r"needs (per-modality|the features|to know)|works with fusion"
        ):
            method.setup(model)
        return
    optimizer, batch = sgd(model, RATES.get(name, 0.1), 0.9), make_batch()
    losses = [float(method.step(model, batch, optimizer)["loss"]) for _ in range(30)]
    assert losses[-1] < losses[0]


def test_a_failed_step_leaves_the_weights_alone():
    model, batch = make_model(), make_batch()
    method, before = build_method("sam", rho=1.0), weights(model)
    calls = iter([False, True])

    def loss(output, batch, inner=method.loss):
        if next(calls):
            raise KeyboardInterrupt
        return inner(output, batch)

    method.loss = loss
    with pytest.raises(KeyboardInterrupt):
        method.step(model, batch, sgd(model))
    assert all(torch.equal(p, before[k]) for k, p in model.named_parameters())


@every_method
def test_a_class_says_what_the_method_is(name, options):
    cls = METHODS[name]
    assert cls.reference and cls.passes
    for chosen in cls.paper_options.values():
        assert set(chosen) <= set(cls.options())
    assert "Changes:" in cls.__doc__ and "Requires:" in cls.__doc__
