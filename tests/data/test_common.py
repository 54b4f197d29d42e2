"""Containers, loader, label noise and the registry."""

from __future__ import annotations

import pytest
import torch

from msam_lib.data import BatchLoader, MultimodalDataset, describe, list_datasets, load_dataset
from msam_lib.data.label_noise import flip_labels
from msam_lib.errors import MsamError


def dataset(n=25):
    return MultimodalDataset(
        {"a": torch.arange(n).float(), "b": torch.zeros(n, 2)}, torch.arange(n)
    )


def order(loader):
    return torch.cat([batch.index for batch in loader]).tolist()


@pytest.mark.parametrize(
    ("drop", "sizes"), [(False, [8, 8, 8, 1]), (True, [8] * 3), ("single", [8] * 3)]
)
def test_batches_cover_everything_once(drop, sizes):
    loader = BatchLoader(dataset(), 8, shuffle=True, drop_last=drop)
    batches = list(loader)
    assert [len(b.targets) for b in batches] == sizes
    assert len(loader) == len(sizes)
    assert len(set(order(loader))) == sum(sizes)
    assert all(torch.equal(b.inputs["a"].long(), b.targets) for b in batches)


def test_order_depends_on_seed_and_epoch_alone():
    a, b = (BatchLoader(dataset(), 8, shuffle=True, seed=3) for _ in range(2))
    a.set_epoch(5)
    torch.manual_seed(99)
    b.set_epoch(5)
    assert order(a) == order(b)
    b.set_epoch(6)
    assert order(a) != order(b)
    assert order(a) != order(BatchLoader(dataset(), 8, shuffle=True, seed=4))
    assert order(BatchLoader(dataset(), 8)) == list(range(25))


def test_containers_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="'b': 3"):
        MultimodalDataset({"a": torch.zeros(2), "b": torch.zeros(3)}, torch.zeros(2))
    with pytest.raises(ValueError, match="empty"):
        BatchLoader(dataset(0))
    with pytest.raises(ValueError, match="batch_size=0"):
        BatchLoader(dataset(), 0)
    with pytest.raises(ValueError, match="are not here"):
        dataset().select(["c"])


def test_subset_and_select_keep_samples_together():
    part = dataset().subset([3, 1]).select(["a"])
    assert part.inputs["a"].tolist() == [3, 1] == part.targets.tolist()
    assert part.modalities == ("a",)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.29, 1.0])
def test_label_noise_changes_exactly_the_stated_share(rate):
    y = torch.randint(5, (100,))
    noisy = flip_labels(y, rate, 5, seed=1)
    assert int((noisy != y).sum()) == round(rate * 100)
    assert torch.equal(noisy, flip_labels(y, rate, 5, seed=1))
    assert bool(((noisy >= 0) & (noisy < 5)).all())


def test_label_noise_is_uniform_over_the_other_classes():
    noisy = flip_labels(torch.zeros(30_000, dtype=torch.long), 1.0, 4)
    assert (noisy.bincount(minlength=4) / 30_000).tolist() == pytest.approx(
        [0, 1 / 3, 1 / 3, 1 / 3], abs=0.01
    )


def test_label_noise_leaves_validation_and_test_alone():
    clean, noisy = (load_dataset("digits", label_noise=r) for r in (0.0, 0.4))
    assert int((clean.train.targets != noisy.train.targets).sum()) == int(0.4 * 1197)
    assert torch.equal(clean.val.targets, noisy.val.targets)
    assert torch.equal(clean.test.targets, noisy.test.targets)
    with pytest.raises(MsamError, match="label_noise=2"):
        load_dataset("digits", label_noise=2)


def test_every_data_set_is_described():
    for name in list_datasets():
        assert name in describe(name)
    with pytest.raises(MsamError, match="Did you mean 'digits'"):
        load_dataset("digit")
