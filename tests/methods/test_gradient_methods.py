"""OGM-GE, AGM and MMPareto: coefficients and gradients worked out by hand or naively."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.methods.mmpareto import shortest
from tests.helpers import distance, make_batch, make_model, sgd, steps, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def moved(rule, model, batch, lr=0.1):
    before = weights(model)
    rule.step(model, batch, sgd(model, lr))
    return {k: (before[k] - v) / lr for k, v in weights(model).items()}


def test_ogm_by_hand():
    # one sample: probabilities of the true class 0.8, 0.2 and 0.4
    p = {"x1": 0.8, "x2": 0.2, "x3": 0.4}
    own = {m: torch.tensor([[math.log(q), math.log(1 - q)]]) for m, q in p.items()}
    found = build_method("ogm_ge", alpha=0.5).balance(own, torch.tensor([0]))
    assert float(found["x1"]) == pytest.approx(1 - math.tanh(0.5 * 0.8 / 0.3), abs=1e-5)
    assert float(found["x2"]) == 1.0
    assert float(found["x3"]) == 1.0
    two = {m: own[m] for m in ("x1", "x2")}
    pair = build_method("ogm_ge", alpha=0.5).balance(two, torch.tensor([0]))
    assert float(pair["x1"]) == pytest.approx(1 - math.tanh(0.5 * 4), abs=1e-5)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_ogm_scales_the_encoder_alone(variant):
    batch, model = make_batch(), make_model()
    plain = moved(build_method("joint"), make_model(), batch)
    rule = build_method("ogm_ge", alpha=0.3, ge=False, variant=variant)
    found = moved(rule, model, batch)
    slowed = {m: float(k) for m, k in rule.coefficients.items()}
    assert min(slowed.values()) < 1 and max(slowed.values()) == 1
    for name, p in model.named_parameters():
        m = name.split(".")[1] if name.startswith("encoders") else None
        touched = m is not None and (variant == "paper" or p.dim() == 4)
        k = slowed[m] if touched else 1.0
        assert torch.allclose(found[name], k * plain[name], atol=1e-5), name


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_ge_adds_noise_of_the_size_of_the_gradient_before_it_is_scaled(variant):
    batch, kernel = make_batch(), "encoders.x1.net.0.weight"  # 4-D: both variants modulate it
    found = []
    for seed in range(200):
        model = make_model(seed=3)
        torch.manual_seed(seed)
        rule = build_method("ogm_ge", alpha=2.0, variant=variant)
        found.append(moved(rule, model, batch)[kernel])
    k = float(rule.coefficients["x1"])
    assert 0 < k < 0.1  # a spread of the scaled gradient would be ten times smaller
    plain = moved(build_method("joint"), make_model(seed=3), batch)[kernel]
    stack = torch.stack(found)
    assert torch.allclose(stack.mean(0), k * plain, atol=float(0.4 * plain.std()))
    assert float(stack.std(0).mean()) == pytest.approx(float(plain.std()), rel=0.1)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_ge_draws_its_noise_tensor_by_tensor(variant):
    batch, model = make_batch(m=3), make_model(m=3, dropout=0.0)
    plain = moved(build_method("joint"), make_model(m=3, dropout=0.0), batch)
    rule = build_method("ogm_ge", alpha=0.7, variant=variant)
    torch.manual_seed(5)
    found = moved(rule, model, batch)
    torch.manual_seed(5)
    for name, p in model.named_parameters():
        m = name.split(".")[1] if name.startswith("encoders") else None
        g = plain[name]
        if m is not None and (variant == "paper" or p.dim() == 4):
            g = rule.coefficients[m] * g + torch.zeros_like(g).normal_(0, float(g.std()) + 1e-8)
        assert torch.allclose(found[name], g, atol=2e-5), name


def test_windows_end(tmp_path):
    for name, options in (("ogm_ge", {"ge": False}), ("agm", {})):
        base = Experiment(
            dataset="synthetic", method=name, epochs=3, width=2, data_options=SMALL,
            method_options=options | {"window": (0, 0)},
        )  # fmt: skip
        short = run_experiment(base, tmp_path).metrics()
        whole = run_experiment(base.replace(method_options=options), tmp_path).metrics()
        early, both = (f[f["epoch"] <= 1].reset_index(drop=True) for f in (short, whole))
        assert early.equals(both)
        accuracy = [f[f["metric"] == "loss"]["value"].tolist() for f in (short, whole)]
        assert accuracy[0] != accuracy[1]


def test_agm_coefficients_by_hand():
    rule = build_method("agm", alpha=2.0)
    rule.setup(make_model())
    targets = torch.tensor([0])

    def response(s1, s2):  # two classes with cross-entropies s1 and s2
        rows = [[-s, math.log(1 - math.exp(-s))] for s in (s1, s2)]
        return torch.tensor(rows)[:, None]

    assert torch.equal(rule.coefficients(response(0.5, 1.5), targets), torch.ones(2))
    c = rule.coefficients(response(1.0, 1.2), targets)
    tau1, r1 = math.exp(1.5 - 0.5), math.exp(1.2 - 1.0)
    tau2, r2 = math.exp(0.5 - 1.5), math.exp(1.0 - 1.2)
    assert float(c[0]) == pytest.approx(math.exp(2 * (tau1 - r1)), rel=1e-4)
    assert float(c[1]) == pytest.approx(math.exp(2 * (tau2 - r2)), rel=1e-4)
    assert rule.means.tolist() == pytest.approx([0.75, 1.35], abs=1e-4)
    capped = build_method("agm", alpha=2.0, cap=0.5)
    capped.setup(make_model())
    capped.coefficients(response(0.5, 1.5), targets)
    assert float(capped.coefficients(response(1.0, 1.2), targets)[0]) == pytest.approx(
        math.e, rel=1e-4
    )


@pytest.mark.parametrize("fusion", ["late", "maxout"])
def test_agm_gradient_against_the_written_out_formula(fusion):
    # grad = (c1 + c2)/2 dF(1,2) + (c1 - c2)/2 (dF(1,0) - dF(0,2)), the bimodal form
    model, batch = make_model(fusion, dropout=0.0), make_batch()
    rule = build_method("agm", alpha=1.0)
    rule.setup(model)
    rule.means, rule.count = torch.tensor([0.5, 2.0]), torch.tensor(3.0)
    net = copy.deepcopy(model)
    c = {}
    before = weights(model)
    logs = rule.step(model, batch, sgd(model, 0.1))
    c = [float(logs["coefficient/x1"]), float(logs["coefficient/x2"])]
    assert abs(c[0] - c[1]) > 0.01
    features = net.encode(batch.inputs)
    full = net.fuse(features).logits
    net.eval()
    absent = {m: v.expand(12, -1) for m, v in net.absent_features(batch.inputs).items()}
    only1 = net.fuse({"x1": features["x1"], "x2": absent["x2"]}).logits
    only2 = net.fuse({"x1": absent["x1"], "x2": features["x2"]}).logits
    slope = torch.autograd.grad(F.cross_entropy(full, batch.targets), full, retain_graph=True)[0]
    total = (c[0] + c[1]) / 2 * full + (c[0] - c[1]) / 2 * (only1 - only2)
    (total * slope).sum().backward()
    for name, p in net.named_parameters():
        moved_by = (before[name] - dict(model.named_parameters())[name].detach()) / 0.1
        assert torch.allclose(moved_by, p.grad, atol=2e-5), name


def test_pareto_weight_by_hand():
    u, v = torch.tensor([1.0, 0.0]), torch.tensor([-0.5, 1.0])
    # shortest point between u and v: w = <v, v - u> / |u - v|^2 = 2 / 3.25
    w = float(shortest(u, v))
    assert w == pytest.approx((-0.5 * -1.5 + 1.0) / (1.5**2 + 1), abs=1e-6)
    grid = torch.linspace(0.001, 0.999, 2001)[:, None]
    lengths = (grid * u + (1 - grid) * v).norm(dim=1)
    assert w == pytest.approx(float(grid[lengths.argmin()]), abs=1e-3)
    assert float(shortest(torch.tensor([1.0]), torch.tensor([5.0]))) == pytest.approx(0.999)


def test_pareto_integration_by_hand():
    rule = build_method("mmpareto", gamma=2.0)
    a, b = [torch.tensor([1.0, 0.0])], [torch.tensor([0.5, 1.0])]
    new, cosine = rule.integrate(a, b)
    assert float(cosine) == pytest.approx(0.5 / math.sqrt(1.25), abs=1e-5)
    assert torch.allclose(new[0], 2.0 * torch.tensor([1.5, 1.0]))  # they agree: the sum
    b = [torch.tensor([-0.5, 1.0])]
    new, cosine = rule.integrate(a, b)
    w = 1.75 / 3.25
    h = 2 * (w * a[0] + (1 - w) * b[0])
    length = max(float((a[0] + b[0]).norm()), float(h.norm()))
    assert torch.allclose(new[0], 2.0 * h / h.norm() * length, atol=1e-5)
    assert float(new[0] @ a[0]) > 0 and float(new[0] @ b[0]) > 0  # harms neither


def test_pareto_against_naive_gradients():
    model, batch = make_model("late", 3), make_batch(3)
    net = copy.deepcopy(model)
    rule = build_method("mmpareto", gamma=1.5)
    before = weights(model)
    rule.step(model, batch, sgd(model, 0.1))
    output = net(batch.inputs)
    fused = F.cross_entropy(output.logits, batch.targets)
    encoder = list(net.parameters_of("x2"))
    a = torch.autograd.grad(fused, encoder, retain_graph=True)
    b = torch.autograd.grad(F.cross_entropy(output.unimodal["x2"], batch.targets), encoder)
    new, _ = rule.integrate(a, b)
    now = {id(p): k for k, p in net.named_parameters()}
    for p, g in zip(encoder, new, strict=True):
        name = now[id(p)]
        assert torch.allclose((before[name] - weights(model)[name]) / 0.1, g, atol=1e-5), name


def test_variants_differ():
    batches = [make_batch(seed=s) for s in (1, 2, 3, 4)]
    a = steps(make_model(), build_method("ogm_ge", ge=False), batches)
    b = steps(make_model(), build_method("ogm_ge", ge=False, variant="released"), batches)
    assert distance(a, b) > 1e-5
    u = [torch.tensor([1.0, 0.0]), torch.tensor([2.0])]
    v = [torch.tensor([-1.0, 0.5]), torch.tensor([-1.0])]
    whole, _ = build_method("mmpareto").integrate(u, v)
    each, _ = build_method("mmpareto", variant="released").integrate(u, v)
    assert not torch.allclose(whole[1], each[1])
    sums = [float((p + q).norm()) for p, q in zip(u, v, strict=True)]
    assert all(float(g.norm()) >= 1.5 * n - 1e-5 for g, n in zip(each, sums, strict=True))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ogm_ge", {"alpha": -1}, "alpha=-1"),
        ("ogm_ge", {"window": (5, 1)}, r"window=\(5, 1\)"),
        ("ogm_ge", {"variant": "code"}, "Available: paper, released"),
        ("agm", {"alpha": -1}, "alpha=-1"),
        ("agm", {"cap": 0}, "cap=0"),
        ("agm", {"window": (5, 1)}, r"window=\(5, 1\)"),
        ("mmpareto", {"gamma": 0}, "gamma=0"),
        ("mmpareto", {"variant": "code"}, "Available: paper, released"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
