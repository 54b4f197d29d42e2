"""Claims that the abstracts of other methods print, and what all claims on accuracy share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.figures.claims import Claim, Frames
from msam_lib.results import claims as test
from msam_lib.results.claims import Effect
from msam_lib.results.comparison import FUSED, HEAD, WEAKEST

Test = Callable[[Frames], Sequence[Effect]]
PAIRED, WEAK = "table_paired_fused", "table_paired_weakest"
ALONE = "test accuracy of the modality that joint training leaves weakest, others absent"
BY_HEAD = (
    "test accuracy, by its own head, of the modality that joint training leaves weakest "
    "(late fusion, concatenation)"
)
HOW = "test accuracy of the whole model, paired by seed, both tuned, in every comparison"
BASELINES = ("joint", "ogm_ge", "agm", "gblend", "pmr")  # of the papers below, as far as built


def better(*pairs: tuple[str, str], fusion: str = "", what: str = FUSED) -> Test:
    """Every first method is better than the second, as a whole or in its weakest modality."""
    fusions = (fusion,) if fusion else test.FUSIONS
    return lambda f: [
        e
        for a, b in pairs
        for e in test.better(f["methods"], a, b, what=what, fusions=fusions, search=f["search"])
    ]


def raised(*pairs: tuple[str, str], what: str = WEAKEST) -> Test:
    """Every first method leaves the weakest modality better than the second: with the others
    absent, or (`HEAD`) by its own head.
    """
    return better(*pairs, what=what)


def over_all(label: str) -> Test:
    """A method is better than every baseline."""
    return better(*((label, b) for b in BASELINES))


OTHERS: tuple[Claim, ...] = (
    Claim(
        "MNL “reduces the empirical error of weak modalities”",
        "MNL (arXiv 2510.20877), abstract",
        ALONE,
        raised(("mnl", "joint"), ("mnl", "joint_unimodal")),
        WEAK,
        "10_ways_to_balance",
        "Against joint training with unimodal losses, which it contains, only where both were run.",
    ),
    Claim(
        "MILES “outperforms all baselines across all tasks and fusion methods”",
        "MILES (arXiv 2510.17394), abstract",
        f"{HOW}, against joint training, OGM-GE, AGM, G-Blend and PMR",
        over_all("miles"),
        PAIRED,
        "10_ways_to_balance",
    ),
    Claim(
        "MILES gives “stronger modality encoders”",
        "MILES (arXiv 2510.17394), abstract",
        ALONE,
        raised(("miles", "joint")),
        WEAK,
        "10_ways_to_balance",
    ),
    Claim(
        "CGGM “outperforms all the baselines and other state-of-the-art methods consistently”",
        "CGGM (arXiv 2411.01409), abstract",
        f"{HOW}, against joint training, OGM-GE, AGM, G-Blend and PMR",
        over_all("cggm"),
        PAIRED,
        "10_ways_to_balance",
    ),
    Claim(
        "LNLN “consistently outperforms existing baselines” where data are missing",
        "LNLN (arXiv 2409.20012), abstract",
        "its setting, every test sample incomplete at several rates, with sequences of MOSI, MOSEI "
        "or SIMS; the MOSI here has one vector per utterance",
        None,
        "",
        "13_stress_tests",
    ),
    Claim(
        "Joint training with fixed unimodal losses is better than joint training",
        "asked here: a control",
        HOW,
        better(("joint_unimodal", "joint")),
        "gains_everywhere",
        "09_when_does_balancing_pay",
    ),
    Claim(
        "Joint training with fixed unimodal losses raises the weakest modality",
        "asked here: a control",
        ALONE,
        raised(("joint_unimodal", "joint")),
        "gains_everywhere",
        "09_when_does_balancing_pay",
    ),
    Claim(
        "Joint training with fixed unimodal losses raises the weakest modality by its own head",
        "asked here: a control",
        BY_HEAD,
        raised(("joint_unimodal", "joint"), what=HEAD),
        "table_gains_head",
        "09_when_does_balancing_pay",
    ),
    Claim(
        "MASAM, MMPareto and MNL gain more than fixed unimodal losses alone",
        "asked here: which part brings the gain",
        f"{HOW}, against the control joint + unimodal losses",
        better(*((m, "joint_unimodal") for m in ("masam", "mmpareto", "mnl"))),
        f"table_gains_late_{DEFAULT_DATASET}",
        "09_when_does_balancing_pay",
    ),
    Claim(
        "Modality dropout raises the weakest modality over joint training",
        "asked here: a control",
        ALONE,
        raised(("modality_dropout", "joint")),
        WEAK,
        "09_when_does_balancing_pay",
    ),
)
