"""The claims of the M-SAM and MASAM papers and of the methods beside them, each with its test."""

from __future__ import annotations

import pandas as pd

from msam_lib.figures.claims import SOURCES, Claim, Frames, Ledger, ledger
from msam_lib.figures.claims_encoders import GEOMETRY, MASAM, MSAM
from msam_lib.figures.claims_others import (
    ALONE,
    BY_HEAD,
    HOW,
    OTHERS,
    PAIRED,
    WEAK,
    better,
    raised,
)
from msam_lib.figures.item import FigureItem
from msam_lib.figures.settings import FRAMES, OPTIONS, WITH_WRONG
from msam_lib.results import claims as test
from msam_lib.results.claims import ENCODER, IN_PART, Effect
from msam_lib.results.comparison import HEAD
from msam_lib.results.protocol import by_protocol
from msam_lib.results.remembered import remembered


def _ablated(f: Frames) -> list[Effect]:
    """MASAM minus MASAM without each part."""
    frame = f["ablation_digits"]
    several = ("masam:aps=False", "masam:mdps=False", "sam")
    return [e for b in several for e in test.better(frame, "masam", b)]


def _withstands(words: str, source: str, method: str) -> Claim:
    """A method is better than joint training where training labels are wrong."""
    return Claim(
        words,
        source,
        "test accuracy of the whole model minus joint training's, paired by seed, with 20, 40 and "
        "60 % wrong training labels, both tuned at that share, digits",
        lambda f: [
            e
            for name in WITH_WRONG[1:]
            for e in test.better(f[name], method, "joint", search=f["search"])
        ],
        "label_noise_tuned",
        "13_stress_tests",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "Late fusion: joint training < SAM < M-SAM",
        f"{MSAM}, Table 1",
        HOW,
        better(("sam", "joint"), ("msam", "sam"), fusion="late"),
        PAIRED,
        "08_tables_1_and_2",
    ),
    Claim(
        "Early fusion (MaxOut): joint training < SAM < M-SAM",
        f"{MSAM}, Table 2",
        HOW,
        better(("sam", "joint"), ("msam", "sam"), fusion="maxout"),
        PAIRED,
        "08_tables_1_and_2",
    ),
    Claim(
        "M-SAM “outperforms the latest state-of-the-art optimization and gradient manipulation "
        "methods”",
        f"{MSAM}, abstract",
        f"{HOW}, against AGM, MMPareto and InfoReg",
        better(("msam", "agm"), ("msam", "mmpareto"), ("msam", "inforeg")),
        "methods_ranks",
        "08_tables_1_and_2",
    ),
    Claim(
        "M-SAM is robust for the dominant modality “while enhancing contributions from others”",
        f"{MSAM}, abstract",
        ALONE,
        raised(("msam", "joint"), (ENCODER, "joint")),
        WEAK,
        "08_tables_1_and_2",
    ),
    Claim(
        "M-SAM enhances “contributions from others”, asked of the weaker modality's own head",
        f"{MSAM}, abstract",
        BY_HEAD,
        raised(("msam", "joint"), (ENCODER, "joint"), what=HEAD),
        "table_gains_head",
        "09_when_does_balancing_pay",
    ),
    Claim(
        "SAM applied to all weights favours the dominant modality",
        f"{MSAM}, introduction and talk",
        "the dominant modality's Shapley share of the test accuracy, SAM minus joint training",
        lambda f: test.dominance_raised(f["methods"], "sam", "joint"),
        "methods_dominance_late_avmnist",
        "03_sharpness_and_sam",
    ),
    *GEOMETRY,
    Claim(
        "M-SAM converges more smoothly than joint training",
        f"{MSAM}, talk",
        "standard deviation of the change in test accuracy from epoch to epoch, second half, in "
        "every comparison by the protocol",
        lambda f: [e for name in FRAMES for e in test.smoother(f[name], "msam", "joint")],
        "methods_convergence_late_avmnist_mini",
        "08_tables_1_and_2",
    ),
    Claim(
        "Direct SAM gives little in multimodal learning",
        f"{MASAM}, introduction",
        "MASAM minus SAM: whole model, paired by seed, both tuned",
        better(("masam", "sam")),
        PAIRED,
        "11_masam_and_relatives",
    ),
    Claim(
        "MASAM is better than late fusion alone",
        f"{MASAM}, tables",
        HOW,
        better(("masam", "joint"), fusion="late"),
        PAIRED,
        "11_masam_and_relatives",
    ),
    Claim(
        "Each of MASAM's parts helps (APS, MDPS; SAM alone is worse)",
        f"{MASAM}, ablation",
        "whole model minus the model without the part, digits, late fusion",
        _ablated,
        "table_masam_ablation_digits",
        "11_masam_and_relatives",
        "The row that the paper lacks, no perturbation at all but the losses per modality, is in "
        "notebook 11: most of the gain is there without it.",
    ),
    _withstands("MASAM withstands 20 to 60 % of wrong labels", f"{MASAM}, robustness", "masam"),
    _withstands("M-SAM withstands wrong labels", "asked here; not a claim of its paper", "msam"),
    _withstands("SAM withstands wrong labels", "asked here: without modalities", "sam"),
    _withstands("Fixed unimodal losses withstand wrong labels", "asked here", "joint_unimodal"),
    Claim(
        "Larger normalised gap goes with sharper minima",
        f"{MSAM}, sharpness section",
        "Kendall's tau between Keskar's Q and the gap, over the runs of all methods",
        lambda f: test.gap_follows(f["sharpness"]),
        "sharpness_against_gap_late",
        "07_does_flat_mean_general",
        "Between methods, not within them (notebook 07).",
        most=IN_PART,
    ),
    Claim(
        "M-SAM (confined to the dominant encoder, as the prose says) is better than as printed",
        f"{MSAM}, prose against Algorithm 1",
        HOW,
        better((ENCODER, "msam")),
        PAIRED,
        "04_msam_line_by_line",
    ),
    Claim(
        "A separate loss for every modality is what helps: MMPareto, MASAM and MNL are better than "
        "joint training",
        "asked here",
        HOW,
        better(("mmpareto", "joint"), ("masam", "joint"), ("mnl", "joint")),
        PAIRED,
        "10_ways_to_balance",
    ),
    Claim(
        "M-SAM gains with “many modalities”",
        f"{MSAM}, abstract",
        "M-SAM minus joint training with M = 3 (signs), 4 (isl) and 6 (mfeat)",
        lambda f: [
            e
            for e in test.better(f["methods"], "msam", "joint", search=f["search"])
            if any(name in e.what for name in ("signs", "isl", "mfeat"))
        ],
        PAIRED,
        "08_tables_1_and_2",
        "That it trains for any M is tested with all other methods.",
    ),
    *OTHERS,
    Claim(
        "The papers' accuracies on CREMA-D, UR-Funny and AVE",
        f"{MSAM}, Tables 1 and 2",
        "data that cannot be handed on; `prepare` and `evidence` run them where they are",
        None,
        "",
        "08_tables_1_and_2",
    ),
)


@remembered(1)  # the ledger and its text ask for it
def _ledger(*frames: pd.DataFrame) -> Ledger:
    named = dict(zip(SOURCES, frames, strict=True))
    counted, older = by_protocol(
        named["methods"], named["search"], *(named[name] for name in OPTIONS)
    )
    return ledger(CLAIMS, named | {"methods": counted}, named | {"methods": older})


ITEM = FigureItem(
    name="claims",
    title="What the papers claim, and what came out here",
    caption="Every claim with its test and verdict, generated from the frozen results.",
    needs=SOURCES[0],
    beside=SOURCES[1:],
    formats=("md", "csv", "html"),
    draw=_ledger,
    describe=lambda *frames: _ledger(*frames).alt,
)
