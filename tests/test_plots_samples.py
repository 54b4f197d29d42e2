"""Pictures of samples show the samples that they say they show."""

from __future__ import annotations

import numpy as np
import pytest

from msam_lib.data import load_dataset
from msam_lib.data.avmnist_mini import original
from msam_lib.errors import MsamError
from msam_lib.plots.samples import degraded_grid, sample_grid, title


@pytest.fixture(scope="module")
def data():
    return load_dataset("avmnist_mini", n_train=20, n_val=10, n_test=30)


def test_originals_stand_above_what_is_learnt_from(data):
    chosen = [3, 17, 8]
    originals = [original(data, "test", i) for i in chosen]
    inputs = {m: x[chosen] for m, x in data.test.inputs.items()}
    axes = np.array(degraded_grid(originals, inputs).axes).reshape(4, 3)
    for column, (i, o) in enumerate(zip(chosen, originals, strict=True)):
        shown = [ax.images[0].get_array() for ax in axes[[0, 1, 3], column]]
        np.testing.assert_array_equal(shown[0], o.image)
        np.testing.assert_array_equal(shown[1], data.test.inputs["visual"][i, 0])
        np.testing.assert_array_equal(shown[2], data.test.inputs["audio"][i, 0])
        np.testing.assert_array_equal(axes[2, column].lines[0].get_ydata(), o.wave)
        assert axes[0, column].get_title() == data.classes[int(data.test.targets[i])]
    assert len({ax.get_xlim() for ax in axes[2]}) == 1  # one scale of time


def test_a_grid_begins_at_the_first_sample_and_ends_with_the_split(data):
    axes = sample_grid(data, n=4, split="test", first=28).axes
    assert len(axes) == 2 * 2  # two samples are left, of two modalities
    np.testing.assert_array_equal(axes[0].images[0].get_array(), data.test.inputs["audio"][28, 0])
    with pytest.raises(MsamError, match="first=30"):
        sample_grid(data, split="test", first=30)


def test_titles_of_every_kind_of_target():
    names = ["a", "b", "c"]
    assert title(names, np.array(1)) == "b"
    assert title(names, np.array([2, 0, 2])) == "c, a"
    assert title(names, np.array([1.0, 0, 1])) == "a, c"
    assert title([], np.array(-1.26, np.float32)) == "-1.3"
