"""Options of methods that go through the whole suite beside every method's defaults."""

VARIANTS = [
    ("msam", {"reading": "encoder"}),
    ("msam", {"reading": "encoder", "target": "weakest", "mixing": 1.0}),
    ("msam", {"reading": "unimodal_loss"}),
    ("msam", {"ascent": "momentum"}),
    ("msam", {"reading": "encoder", "ascent": "momentum"}),
    ("msam", {"value": "log_likelihood", "contribution": "softmax", "smoothing": 0.9}),
    ("msam", {"features": "training"}),
    ("x_sam", {"period": 1}),  # with period 5 these tests reach no estimate
    ("x_sam", {"period": 1, "normalise": False, "projection": "printed"}),
    ("x_sam", {"period": 1, "variant": "released"}),
    ("momentum_sam", {"sign": "plus"}),
    ("lfm", {"variant": "released", "weights": "fixed", "start": 0.3}),
    ("ogm_ge", {"variant": "released", "ge": False}),
    ("mmpareto", {"variant": "released"}),
    ("masam", {"aps": False}),
    ("masam", {"mdps": False, "alpha": 0.2}),
    ("masam", {"variant": "released"}),
    ("cggm", {"weight": 0.0}),
    ("pmr", {"variant": "released"}),
    ("reconboost", {"variant": "released", "joint_epochs": 0}),
    ("aug", {"variant": "released", "largest": 1}),
    ("mla", {"gate": "fixed", "variant": "released"}),
    ("inforeg", {"weight": 0.0, "beta": 0.5}),
    ("lnln", {"variant": "released"}),
    ("sample_valuation", {"zero": "inputs"}),
    ("lfm", {"weights": "learned"}),
    ("mla", {"variant": "released"}),
    ("arl", {"variant": "released"}),
    ("g2d", {"variant": "released"}),
    ("greedy", {"threshold": 0.0, "window": 2}),
]

# Options that leave out random numbers drawn modality by modality, whose order would matter.
QUIET = {
    "ogm_ge": {"ge": False},
    "lnln": {"missing": 0.0},
    "modality_dropout": {"probability": 0.0},
    "opm": {"q_base": 0.0},
}

# Options of the test that a loss falls, where a method does something else in its first epochs.
LATER = {"lfm": {"start": 0.5}}

# Learning rates of the tests that train, where a method needs another one.
RATES = {"x_sam": 0.01, "lnln": 0.02}
