"""What methods refuse, and the advice they give."""

from __future__ import annotations

import pytest
import torch

from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.methods import METHODS, build_method
from tests.helpers import make_batch, make_model

HEADED = [n for n in METHODS if "unimodal_logits" in METHODS[n].requires and not METHODS[n].fusions]
PICKY = [n for n in METHODS if METHODS[n].fusions]
COUNTED = [n for n in METHODS if METHODS[n].modalities != "any"]


@pytest.mark.parametrize("fusion", ["maxout", "sum", "gated", "film"])
@pytest.mark.parametrize("name", HEADED)
def test_missing_heads_are_refused_with_advice(name, fusion):
    with pytest.raises(UnsupportedSetting, match="unimodal_heads=True"):
        build_method(name).setup(make_model(fusion))
    build_method(name).setup(make_model(fusion, unimodal_heads=True))


@pytest.mark.parametrize("name", PICKY)
def test_another_fusion_is_refused_with_advice(name):
    with pytest.raises(
        UnsupportedSetting, match=f"Build the model with fusion={METHODS[name].fusions[0]!r}"
    ):
        build_method(name).setup(make_model("maxout", unimodal_heads=True))


@pytest.mark.parametrize("name", COUNTED)
def test_a_wrong_number_of_modalities_is_refused_with_advice(name):
    with pytest.raises(UnsupportedSetting, match=r"has 3: x1, x2, x3\. Choose 2"):
        build_method(name).setup(make_model("late", 3))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mssam", {}, "Did you mean 'msam'"),
        ("sam", {"roh": 1}, "Did you mean 'rho'"),
        ("joint", {"rho": 1}, "no options"),
        ("sam", {"rho": -1.0}, "rho=-1.0"),
        ("msam", {"reading": "litteral"}, "Did you mean 'literal'"),
        ("msam", {"smoothing": 1.0}, "smoothing=1.0"),
        ("msam", {"reading": "unimodal_loss", "ascent": "momentum"}, "Use ascent='gradient'"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)


def test_momentum_ascent_needs_momentum():
    model, method = make_model(), build_method("msam", ascent="momentum")
    optimizer = torch.optim.Adagrad(model.parameters())
    with pytest.raises(UnsupportedSetting, match="Adagrad keeps none"):
        for _ in range(2):
            method.step(model, make_batch(), optimizer)


def test_unknown_target_is_refused():
    with pytest.raises(MsamError, match="target"):
        build_method("msam", reading="encoder", target="x9").setup(make_model())


def test_a_method_without_a_known_formula_is_named_and_refused(capsys):
    with pytest.raises(UnsupportedSetting, match=r"in none of our sources.*Use 'sam'"):
        build_method("ga_sam")
    from msam_lib.cli.main import main

    assert main(["list", "methods"]) == 0
    assert "not implemented" in capsys.readouterr().out
