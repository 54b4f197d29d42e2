"""Sample-level valuation: what `level="modality"` leaves out."""

from __future__ import annotations

import pytest
import torch

from msam_lib.methods import build_method


@pytest.mark.parametrize("best", [0, 1])
def test_the_strongest_modality_is_left_out_of_a_share_of_the_samples(best):
    n = 30
    phi = torch.full((2, n), 0.5)
    phi[best] = 1.5  # ahead by 1
    rule = build_method("sample_valuation", level="modality", strength=0.9)
    copies = rule._by_modality(phi, ("x1", "x2"), torch.Generator().manual_seed(0))
    assert len(set(copies.index.tolist())) == int(2 / 3 * 0.9 * n)
    assert not copies.keep[:, best].any() and copies.keep[:, 1 - best].all()
