"""Methods fine-tune pretrained encoders: the frozen layers stay, the others are trained."""

from __future__ import annotations

import copy

import pytest
import torch

from msam_lib.contributions import shapley_contributions
from msam_lib.data import Batch, Modality
from msam_lib.methods import build_method
from msam_lib.models import build_model, evaluating
from tests.helpers import sgd, weights
from tests.huggingface_models import IMAGE, SOUND, WORDS, save_models, token_ids

transformers = pytest.importorskip("transformers")
CLASSES = 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return save_models(transformers, tmp_path_factory.mktemp("hf"))


def joined(folders, *, text="last:1", seed=0):
    """A model of a text and an image encoder."""
    torch.manual_seed(seed)
    specs = {"text": WORDS, "image": IMAGE}
    kinds = {"text": f"hf:{folders['bert']}", "image": f"hf:{folders['vit']}"}
    options = {"text.trainable": text, "image.trainable": "last:1"}
    return build_model(specs, classes=CLASSES, encoder=kinds, encoder_options=options)


def batch_of(n=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    inputs = {"text": token_ids(n, seed), "image": torch.randn(n, 1, 10, 10, generator=g)}
    return Batch(inputs, torch.randint(CLASSES, (n,), generator=g))


METHODS = [("joint", {}), ("sam", {}), ("msam", {}), ("msam", {"reading": "encoder"})]


@pytest.mark.parametrize(("name", "options"), METHODS)
def test_fine_tuning_moves_the_last_layer_only(folders, name, options):
    model, batch = joined(folders), batch_of()
    before = weights(model)
    frozen = {k for k, p in model.named_parameters() if not p.requires_grad}
    assert {k for k in frozen if k.startswith("encoders.text.network.embeddings")}
    assert {k for k in frozen if ".layer.0." in k} and not {k for k in frozen if ".layer.1." in k}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    model.train()
    for _ in range(2):
        logs = build_method(name, **options).step(model, batch, optimizer)
        assert torch.isfinite(torch.as_tensor(logs["loss"]))
    changed = {k for k, p in model.named_parameters() if not torch.equal(p, before[k])}
    assert changed == set(before) - frozen
    assert {k.split(".")[1] for k in changed if k.startswith("encoders")} == {"text", "image"}


@pytest.mark.parametrize("seed", range(3))
def test_the_second_pass_repeats_the_dropout_inside(folders, seed):
    """SAM with radius 0 is joint training only if both passes draw the same masks."""
    folder = folders["wav2vec2"]  # with dropout inside attention and random layers left out
    model = build_model(
        {"sound": SOUND, "x": Modality("vector", (4,))},
        classes=CLASSES,
        encoder={"sound": f"hf:{folder}"},
    )
    for part in model.modules():  # no dropout that is seen from outside
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    inputs = {"sound": torch.randn(6, 200), "x": torch.randn(6, 4)}
    batch = Batch(inputs, torch.randint(CLASSES, (6,)))
    after = []
    for name, options in [("joint", {}), ("sam", {"rho": 0.0})]:
        copied = copy.deepcopy(model).train()
        torch.manual_seed(seed)
        build_method(name, **options).compute_gradients(copied, batch)
        after.append({k: p.grad for k, p in copied.named_parameters() if p.grad is not None})
    assert after[0].keys() == after[1].keys()
    assert all(torch.allclose(after[0][k], after[1][k], 1e-4, 1e-10) for k in after[0])
    torch.manual_seed(4)
    assert not torch.equal(model.train()(inputs).logits, model(inputs).logits)


def test_contributions_and_curvature_of_a_pretrained_model(folders):
    model, batch = joined(folders, text="all"), batch_of(16)
    with evaluating(model):
        found = shapley_contributions(model, batch.inputs, batch.targets, value="log_likelihood")
        logits = [model(batch.inputs, present=p).logits for p in (None, ())]
    both, none = (-torch.nn.functional.cross_entropy(z, batch.targets) for z in logits)
    assert float(both - none) != 0
    assert float(found.phi.sum()) == pytest.approx(float(both - none), abs=1e-6)
    logs = build_method("cr_sam").step(model.train(), batch, sgd(model))
    assert torch.isfinite(logs["loss"])


def test_the_state_restores_every_bit(folders):
    model, batch = joined(folders), batch_of()
    build_method("msam").step(model.train(), batch, sgd(model, 0.5))
    again = joined(folders, seed=5)
    assert not torch.equal(again.eval()(batch.inputs).logits, model.eval()(batch.inputs).logits)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(batch.inputs).logits, model(batch.inputs).logits)
    assert {k for k, p in again.named_parameters() if p.requires_grad} == {
        k for k, p in model.named_parameters() if p.requires_grad
    }
