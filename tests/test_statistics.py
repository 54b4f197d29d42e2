"""Tests over seeds in the cases that few seeds do not reach."""

from __future__ import annotations

import numpy as np
import pytest

from msam_lib.results.statistics import paired


def test_many_seeds_that_agree_have_the_smallest_p_that_can_be_drawn():
    a = np.random.default_rng(0).uniform(1, 2, 40)
    found = paired(a, np.zeros(40))
    assert found.p_permutation == pytest.approx(1 / 100_001)  # never 0: the observed one counts
    mixed = paired(np.resize([1.0, -1.0], 40), np.zeros(40))
    assert mixed.p_permutation == 1.0


def test_equal_pairs_say_nothing_in_the_sign_test():
    found = paired([1.0, 2.0, 3.0, 4.0, 4.0], [0.0, 1.0, 2.0, 4.0, 4.0])
    assert found.p_sign == 2 / 2**3  # three of three
