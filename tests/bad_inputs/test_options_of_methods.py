"""Every option of every method: wrong types, NaN, infinity, numbers out of range, unknown names."""

from __future__ import annotations

import inspect

import pytest

from msam_lib.methods import METHODS, build_method
from tests.bad_inputs.expect import refused, wrong_values

OPTIONS = [(m, o, default) for m in METHODS for o, default in METHODS[m].options().items()]
WRONG = [(m, o, v) for m, o, default in OPTIONS for v in wrong_values(default)]
# Options whose default is None take what their neighbours take.
WRONG += [(m, o, "abc") for m, o, d in OPTIONS if d is None and (m, o) != ("unimodal", "modality")]
SIGNED = {("inforeg", "threshold"), ("reconboost", "rate")}  # any finite number
NEGATIVE = [
    (m, o, -1)
    for m, o, d in OPTIONS
    if isinstance(d, int | float) and not isinstance(d, bool) and (m, o) not in SIGNED
]
NAMED = [
    (m, o, "nonsense")
    for m, o, d in OPTIONS
    if isinstance(d, str) and (m, o) != ("msam", "target")  # the name of a modality
]
SHARES = [
    *[("masam", "alpha", 1.5), ("masam", "beta", 1.0), ("msam", "mixing", 7.0)],
    *[("mses", "smoothing", 1), ("msam", "smoothing", 1.0)],
    *[("modality_dropout", "probability", 1.0), ("lnln", "missing", 1.1)],
    *[("miles", "factor", 2.0), ("opm", "q_base", 1.5), ("opm", "execute", -0.5)],
    *[("x_sam", "alpha", 3.0), ("gblend", "held_out", 1.0), ("pmr", "share", 0.0)],
    *[("pmr", "momentum", 1.0), ("lfm", "start", 2.0), ("amco", "threshold", 0.0)],
    *[("ogm_ge", "window", (5, 2)), ("agm", "window", (5, 2)), ("mslr", "rates", {"x1": -1.0})],
    *[("mla", "weights", {"x1": "abc"}), ("aug", "weights", [1.0])],
    *[("inforeg", "beta", {"x1": float("nan")}), ("agm", "cap", 0.0), ("gblend", "lr", 0.0)],
    *[("aug", "period", 0), ("mses", "patience", 0), ("lfm", "epochs", 0)],
    *[("cggm", "scale", 0.0)],
]  # fmt: skip
CASES = [*WRONG, *NEGATIVE, *NAMED, *SHARES]


@pytest.mark.parametrize(("method", "option", "value"), CASES)
def test_a_wrong_value_is_refused(method, option, value):
    refused(lambda: build_method(method, **{option: value}), option, value)
    refused(lambda: METHODS[method](**{option: value}), option, value)


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_option_is_refused(method):
    refused(lambda: build_method(method, nonsense=1), "nonsense")


@pytest.mark.parametrize(("method", "option", "default"), OPTIONS)
def test_every_option_says_what_it_may_be(method, option, default):
    from msam_lib._utils.arguments import options_of
    from msam_lib._utils.options import fits, words

    kind = options_of(METHODS[method])[option].kind
    assert default is not inspect.Parameter.empty
    assert fits(kind, default)
    assert words(kind) not in ("Any", "")
