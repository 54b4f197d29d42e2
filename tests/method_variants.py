"""Options of methods that go through the whole suite beside every method's defaults."""

VARIANTS = [
    ("msam", {"reading": "encoder"}),
    ("msam", {"reading": "encoder", "target": "weakest", "mixing": 1.0}),
    ("msam", {"reading": "unimodal_loss"}),
    ("msam", {"ascent": "momentum"}),
    ("msam", {"reading": "encoder", "ascent": "momentum"}),
    ("msam", {"value": "log_likelihood", "contribution": "softmax", "smoothing": 0.9}),
]
