"""What the ledger says of encoders: by hand, on made-up measurements."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from msam_lib.results import encoders as e

SEEDS = (0, 1, 2)


def made() -> pd.DataFrame:
    """x2 dominates by shares of .3 and .7; x1 has e times the curvature of x2; MASAM's score names
    x2 in two of three epochs."""
    rows = []

    def add(label, seed, m, epoch, metric, value):
        same = {"dataset": "toy", "fusion": "late", "method": label, "label": label}
        rows.append(
            same | {"seed": seed, "modality": m, "epoch": epoch, "metric": metric, "value": value}
        )

    for label in ("joint", "masam"):
        for s in SEEDS:
            for m, sharp, share in (("x1", np.e, 0.3), ("x2", 1.0, 0.7)):
                for epoch, grown in ((0, 100.0), (1, 1.0), (3, 4.0 if m == "x1" else 2.0)):
                    end = sharp * grown / (4.0 if m == "x1" else 2.0)
                    add(label, s, m, epoch, "hessian_trace", end * (1 + s))
                    add(label, s, m, epoch, "contribution", share)
                    score = {0: 0.9, 1: 0.1, 3: 0.2}[epoch] if m == "x1" else 0.5
                    if label == "masam":
                        add(label, s, m, epoch, "score", score)
                add(label, s, m, 3, "eigenvalue", sharp * 7)
                add(label, s, m, 3, "spectral_rms", sharp * sharp)
                add(label, s, m, 3, "probe_accuracy", 0.5 + 0.01 * s)
                add(label, s, m, 3, "margin", 0.1 + (0.05 if label == "masam" else 0.0))
    return pd.DataFrame(rows)


def test_who_dominates():
    assert e.dominant_and_weakest(made()) == ("x2", "x1")


def test_the_weak_encoder_is_e_times_as_sharp():
    trace, eigenvalue, spectrum = e.flatter(made())
    assert trace.mean == pytest.approx(1) and eigenvalue.mean == pytest.approx(1)
    assert spectrum.mean == pytest.approx(2) and trace.n == 3
    assert "x1 over x2" in trace.what


def test_growth_counts_from_the_first_measurement_after_the_start():
    weak, difference = e.dragged(made())
    assert weak.mean == pytest.approx(np.log(4))
    assert difference.mean == pytest.approx(np.log(4) - np.log(2))


def test_probes_against_training_alone():
    alone = pd.DataFrame([[40.0, 40, 40], [60, 60, 60]], index=["x1", "x2"], columns=list(SEEDS))
    up, down = e.probes_beat(made(), alone, "joint")
    assert up.mean == pytest.approx(11) and down.mean == pytest.approx(-9)


def test_margins_and_scores():
    assert [x.mean for x in e.wider_margins(made(), "masam", "joint")] == pytest.approx([5, 5])
    (found,) = e.score_finds_dominant(made())
    assert found.mean == pytest.approx(200 / 3 - 50)
