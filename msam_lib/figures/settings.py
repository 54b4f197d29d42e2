"""The settings that were searched by the protocol, in the order in which tables show them."""

from __future__ import annotations

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.labels import Comparison

NOISE, USUAL = "snr_db", -12.0  # the dial's option, and its value where a setting names none
DIAL = (DEFAULT_DATASET, f"{DEFAULT_DATASET}@{NOISE}=-6", f"{DEFAULT_DATASET}@{NOISE}=0")
# The methods that were run in all of them beside joint training, in the pictures' order: a method
# has the same colour everywhere.
SHOWN = ("joint_unimodal", "masam", "sam", "msam")
WRONG_LABELS = "label_noise"
WRONG = tuple(f"digits@{WRONG_LABELS}={share}" for share in (0, 0.2, 0.4, 0.6))
WHOLE = (  # with a table of gains of their own
    Comparison(DEFAULT_DATASET, "late"),
    Comparison(DEFAULT_DATASET, "maxout"),
    Comparison(DEFAULT_DATASET, "concat"),
    Comparison("mosi", "late"),
    Comparison("mfeat", "late"),
    Comparison("isl", "late"),
    Comparison("signs", "late"),
)
# More pairs, and convolutions, whose size and rate no preset names.
SIZES = (
    "avmnist@n_train=20000",
    f"{DEFAULT_DATASET}@encoder=small_cnn,width=8,epochs=10,lr=0.05,{NOISE}=0",
)
# Wrong labels are another question: only the setting without them is one of these.
SEARCHED = (
    *WHOLE,
    *(Comparison(setting, "late") for setting in (*DIAL[1:], WRONG[0], SIZES[0])),
    Comparison(SIZES[0], "maxout"),
    Comparison(SIZES[1], "late"),
)
# Frozen comparisons; those with options are not in the summary of all methods.
FRAMES = tuple(dict.fromkeys(f"methods_{where.dataset}" for where in SEARCHED))
OPTIONS = tuple(name for name in FRAMES if "@" in name)
# Comparisons that were repeated with another arithmetic, and the frozen frame of those runs.
ELSEWHERE = {
    Comparison(DEFAULT_DATASET, fusion): f"elsewhere_{DEFAULT_DATASET}"
    for fusion in ("late", "maxout")
}
WITH_WRONG = tuple(f"methods_{setting}" for setting in WRONG)
