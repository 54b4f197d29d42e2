"""LNLN's terms, as the library has them by default and as released, written out anew."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from msam_lib.methods import build_method
from tests.reference import Agreement
from tests.reference.plain import Plain, batches, sgd, small_model

AGREEMENT = [
    Agreement(
        "lnln",
        "Zhang et al. 2024; Haoyu-ha/LNLN models/lnln.py, core/losses.py, core/dataset.py",
        "missing data, every term of the loss and the weights, both variants",
        "One vector per modality and one layer per block; values go missing one by one; everything "
        "is rebuilt from what is classified. The default compares leading feature and proxy, "
        "normalised, and reverses only the adversary's gradient.",
    ),
]


def reversed_(x):
    """The value of x and minus its gradient."""
    return 2 * x.detach() - x


def damaged(batch, largest, released):
    """What `torch.manual_seed` gives in the method's order of drawing."""
    inputs, rates = {}, {}
    for m, x in batch.inputs.items():
        rates[m] = largest * torch.rand(len(x))
        if released:
            rates[m] = torch.where(torch.rand(len(x)) < 0.5, rates[m], 0.0)
        inputs[m] = torch.where(torch.rand(x.shape) >= rates[m][:, None], x, 0.0)
    return inputs, rates


def forward(plain, h, leading, reverse):
    common = {m: plain.linear(f"fusion.project.{m}", x) for m, x in h.items()}
    others = [x for m, x in common.items() if m != leading]
    hidden = plain.linear("fusion.proxy.0", sum(others) / len(others)).relu()
    proxy = plain.linear("fusion.proxy.2", hidden)
    proxy = reversed_(proxy) if reverse else proxy
    w = plain.linear("fusion.completeness", common[leading]).sigmoid()  # (N, 1)
    d = (1 - w) * proxy + w * common[leading]
    query = plain.linear("fusion.query", d)
    size = query.shape[1] ** 0.5
    scores = [(query * plain.linear("fusion.key", o)).sum(1) / size for o in others]
    shares = torch.stack(scores).softmax(0)
    hyper = d + sum(a[:, None] * o for a, o in zip(shares, others, strict=True))
    both = torch.cat([d, hyper], 1)
    logits = plain.linear("fusion.head.2", plain.linear("fusion.head.0", both).relu())
    rebuilt = {m: plain.linear(f"fusion.rebuild.{m}", both) for m in h}
    return logits, w[:, 0], common[leading], proxy, d, rebuilt


def discriminate(plain, x):
    return plain.linear("fusion.discriminator.2", plain.linear("fusion.discriminator.0", x).relu())


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("m", [2, 3])
def test_lnln(m, variant):
    model = small_model("lnln", m, leading="x2", hidden=5)
    released = variant == "released"
    rule = build_method(
        "lnln", completeness=0.9, adversarial=0.7, reconstruction=0.3, variant=variant
    )
    rule.setup(model)
    optimizer, plain = sgd(model), Plain(model)
    for number, batch in enumerate(batches(m, 4)):
        torch.manual_seed(number)
        logs = rule.step(model, batch, optimizer)
        torch.manual_seed(number)
        inputs, rates = damaged(batch, 1.0 if released else 0.5, released)
        n = len(batch.targets)
        logits, w, leading, proxy, d, rebuilt = forward(plain, plain.encode(inputs), "x2", released)
        whole = plain.encode(batch.inputs)
        task = F.cross_entropy(logits, batch.targets)
        complete = ((w - (1 - rates["x2"])) ** 2).mean()
        if released:
            target = plain.linear("fusion.project.x2", whole["x2"])
            answers = discriminate(plain, torch.cat([d, target]))
            truth = torch.tensor([1] * n + [0] * n)
        else:
            whole = {k: h.detach() for k, h in whole.items()}
            pair = torch.cat([leading, proxy])
            centred = pair - pair.mean(1, keepdim=True)
            pair = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
            answers = discriminate(plain, reversed_(pair))
            truth = torch.tensor([0] * n + [1] * n)
        adversary = F.cross_entropy(answers, truth)
        error = sum(((rebuilt[k] - whole[k]) ** 2).mean() for k in whole) / m
        for name, value in (
            ("loss", task),
            ("completeness_term", 0.9 * complete),
            ("adversarial_term", 0.7 * adversary),
            ("reconstruction_term", 0.3 * error),
        ):
            assert float(logs[name]) == pytest.approx(value.item(), rel=1e-4), name
        plain.step(plain.grads(task + 0.9 * complete + 0.7 * adversary + 0.3 * error))
    assert plain.distance(model) < 1e-6
    fresh = Plain(small_model("lnln", m, leading="x2", hidden=5))
    assert min(fresh.distance(model, [k]) for k in fresh.w if "key" not in k) > 1e-3
