"""Answers of every segment, and attention over places that another modality guides."""

from __future__ import annotations

import itertools

import pytest
import torch

from msam_lib.contributions.coalitions import coalition_logits
from msam_lib.data import Batch, Modality
from msam_lib.errors import MsamError
from msam_lib.methods import build_method
from msam_lib.models import FUSIONS, build_fusion, build_model
from msam_lib.models.base import Layout
from msam_lib.models.fusions.guided import SegmentwiseFusion
from msam_lib.tasks import SegmentClassification
from tests.helpers import sgd, weights

N, S, C = 6, 4, 3
SPECS = {"a": Modality("sequence", (S, 5)), "v": Modality("video", (S, 6, 2, 3))}
PLAIN = [f for f in FUSIONS if f != "guided"]


def guided(**options):
    torch.manual_seed(0)
    options = {"classes": C, "segments": S, "width": 2} | options
    return build_model(SPECS, "guided", **options).eval()


def inputs(n=N):
    g = torch.Generator().manual_seed(1)
    return {m: torch.randn(n, *s.shape, generator=g) for m, s in SPECS.items()}


def test_the_network_is_that_of_the_paper():
    """Written down as published: attention over the raw maps, then the LSTMs, then the layers."""
    model, x = guided(), inputs()
    a, v = x["a"], x["v"].flatten(3).transpose(2, 3)  # (N, S, D) and (N, S, P, D)
    audio, visual, fusion = model.encoders["a"], model.encoders["v"], model.fusion
    guide = audio.keys[2](torch.relu(audio.keys[0](a)))  # G relu(U a)
    own = visual.keys[2](torch.relu(visual.keys[0](v)))  # B relu(A v_j)
    alpha = fusion.weights["v"](torch.tanh(own + guide.unsqueeze(2))).softmax(2)  # (N, S, P, 1)
    assert torch.allclose(fusion.attention(model.encode(x))["v"], alpha.squeeze(3), atol=1e-6)
    seen = fusion.readers["v"](visual.embed((alpha * v).sum(2)))[0]
    heard = audio.lstm(audio.embed(a))[0]
    _, first, _, last = fusion.head
    joined = torch.relu(torch.cat([heard, seen], 2))
    expected = last(torch.relu(first(joined)))  # (N, S, C)
    logits = model(x).logits
    assert logits.shape == (N, S * C)
    assert torch.allclose(logits.view(N, S, C), expected, atol=1e-6)


def test_the_network_has_the_published_sizes():
    specs = {"audio": Modality("sequence", (10, 128)), "visual": Modality("video", (10, 512, 7, 7))}
    with torch.device("meta"):
        model = build_model(specs, "guided", classes=29, segments=10, width=64)
    count = {m: sum(p.numel() for p in block.values()) for m, block in model.blocks().items()}
    lstm = 2 * 4 * (128 * 128 * 2 + 128 * 2)
    embed = {d: d * 256 + 256 * 128 for d in (128, 512)}
    assert count["audio"] == 128 * 512 + 512 + 512 * 49 + embed[128] + lstm
    assert count["visual"] == 512 * 512 + 512 + 512 * 49 + embed[512]
    assert count["fusion"] == 49 + lstm + (512 * 64 + 64) + (64 * 29 + 29)


def test_the_guide_moves_the_attention_and_absent_modalities_have_none():
    model, x = guided(), inputs()
    with torch.no_grad():
        features, gone = model.encode(x), model.absent_features(x)
        look = model.fusion.attention
        both = look(features)["v"]
        assert torch.allclose(both.sum(2), torch.ones(N, S))
        louder = look(model.encode(x | {"a": 3 * x["a"]}))["v"]
        assert float((louder - both).abs().max()) > 1e-3
        # without the map all places are equal; without the sound the map alone decides
        blind = look(features | {"v": gone["v"].expand(N, -1)})["v"]
        assert torch.allclose(blind, torch.full_like(blind, 1 / 6))
        deaf = look(features | {"a": gone["a"].expand(N, -1)})["v"]
        silence = look(model.encode(x | {"a": torch.zeros_like(x["a"])}))["v"]
        assert torch.allclose(deaf, silence, atol=1e-6)
        assert float((deaf - both).abs().max()) > 1e-4


@pytest.mark.parametrize("fusion", FUSIONS)
def test_coalitions_are_passes_with_the_other_inputs_replaced(fusion):
    torch.manual_seed(0)
    options = {"hidden": (5, 4)} if fusion == "maxout" else {}
    model = build_model(SPECS, fusion, classes=C, segments=S, width=2, **options).eval()
    x = inputs()
    masks = torch.tensor(list(itertools.product([False, True], repeat=2)))
    with torch.no_grad():
        found = coalition_logits(model, x, masks)
        for mask, logits in zip(masks.tolist(), found, strict=True):
            kept = [m for m, here in zip(SPECS, mask, strict=True) if here]
            zeroed = {m: z if m in kept else torch.zeros_like(z) for m, z in x.items()}
            assert torch.allclose(model(x, present=kept).logits, logits, atol=1e-5)
            assert torch.allclose(model(zeroed).logits, logits, atol=1e-5)


@pytest.mark.parametrize("fusion", PLAIN)
def test_a_fusion_is_the_same_in_every_segment(fusion):
    torch.manual_seed(0)
    options = {"hidden": (5, 4)} if fusion == "maxout" else {}
    one = build_fusion(fusion, {"a": 3, "b": 2}, C, **options).eval()
    every = SegmentwiseFusion(one, S)
    h = {"a": torch.randn(N, S, 3), "b": torch.randn(N, S, 2)}
    flat = {m: x.flatten(1) for m, x in h.items()}
    expected = torch.stack([one({m: x[:, s] for m, x in h.items()}) for s in range(S)], 1)
    assert torch.allclose(every(flat).view(N, S, C), expected, atol=1e-6)
    assert every.dims == {"a": S * 3, "b": S * 2} and every.classes == S * C
    terms = every.unimodal(flat)
    assert bool(terms) == one.additive == every.additive
    if terms:
        assert torch.allclose(sum(terms.values()), every(flat), atol=1e-6)


@pytest.mark.parametrize("fusion", ["late", "maxout", "guided"])
def test_own_heads_answer_segment_by_segment(fusion):
    options = {"hidden": (5, 4)} if fusion == "maxout" else {}
    model = build_model(
        SPECS, fusion, classes=C, segments=S, width=2, unimodal_heads=True, **options
    )
    features = {m: h.detach().requires_grad_() for m, h in model.encode(inputs()).items()}
    own = model.fuse(features).unimodal
    for m, h in features.items():
        assert own[m].shape == (N, S * C)
        (grad,) = torch.autograd.grad(own[m].view(N, S, C)[:, 1].sum(), h)
        used = grad.view(N, S, -1).abs().sum((0, 2)) > 0
        assert used.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    "method", ["joint", "msam", "agm", "sam", "masam", "cggm", "umt", "dgl", "joint_unimodal"]
)
def test_methods_train_the_guided_network(method):
    model, x = guided(unimodal_heads=True), inputs(24)
    signal = x["a"][..., :C] + x["v"].mean((3, 4))[..., :C]
    batch, task = Batch(x, signal.argmax(2)), SegmentClassification(C, segments=S)
    rule = build_method(method)
    rule.setup(model, task)
    before, start = weights(model), float(task.loss(model(x).logits.detach(), batch.targets))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(25):
        rule.step(model.train(), batch, optimizer)
    assert float(task.loss(model.eval()(x).logits.detach(), batch.targets)) < 0.9 * start
    moved = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
    # alone, as DGL trains an encoder, the sound has no map to guide
    still = "encoders.a.keys" if method == "dgl" else "heads."
    assert {k for k in before if not k.startswith((still, "heads."))} <= moved


def test_one_answer_for_the_whole_sample_averages_the_segments():
    x = inputs()
    model = guided(segments=1)
    assert model(x).logits.shape == (N, C)
    assert model.fusion.attention(model.encode(x))["v"].shape == (N, S, 6)
    # maps alone look at themselves
    alone = build_model({"v": SPECS["v"]}, "guided", classes=C, segments=S, width=2)
    assert alone({"v": x["v"]}).logits.shape == (N, S * C)


def test_other_encoders_answer_for_all_segments_at_once():
    model = build_model(SPECS, classes=C, segments=S, width=2, encoder="mlp")
    assert not isinstance(model.fusion, SegmentwiseFusion)
    assert model(inputs()).logits.shape == (N, S * C)
    assert isinstance(build_model(SPECS, classes=C, segments=S).fusion, SegmentwiseFusion)


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(MsamError, match=r"cannot be joined for 4 answers.*encoder='auto'"):
        build_model(SPECS, "guided", classes=C, segments=S, encoder="mlp")
    layouts = {"a": Layout(2), "v": Layout(3)}
    with pytest.raises(MsamError, match="cannot be joined for 1 answers"):
        build_fusion("guided", {"a": 4, "v": 6}, 3).__class__({"a": 4, "v": 6}, 3, layouts=layouts)
    with pytest.raises(MsamError, match="option of fusion 'guided'"):
        build_fusion("guided", {"a": 4}, 3, layouts=layouts)


def test_targets_and_outputs_of_segments_are_checked():
    model, x = guided(), inputs()
    task, method = SegmentClassification(C, segments=S), build_method("joint")
    good = torch.zeros(N, S, dtype=torch.int64)
    with pytest.raises(MsamError, match=r"SegmentClassification\(C, segments=4\)"):
        method.step(model, Batch(x, good), sgd(model))
    method = build_method("joint")
    method.setup(model, task)
    with pytest.raises(MsamError, match="targets lie between 0 and 3; the model has 3 classes"):
        method.step(model, Batch(x, good + torch.arange(S)), sgd(model))
    with pytest.raises(MsamError, match=r"needs class indices \(N, 4\)"):
        method.step(model, Batch(x, good[:, :3]), sgd(model))
    small = build_model(SPECS, classes=2, segments=S, width=2)
    method = build_method("joint")
    method.setup(small, task)
    with pytest.raises(MsamError, match=r"has 8 outputs.*build it with classes=3, segments=4"):
        method.step(small, Batch(x, good), sgd(small))
