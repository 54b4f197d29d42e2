"""How many settings a text speaks of, and in how many a gain is clear: as counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from msam_lib.figures.gains_summary import all_gains
from msam_lib.figures.settings import FRAMES, SEARCHED
from msam_lib.results.frozen import load
from msam_lib.results.gains import clear

ROOT = Path(__file__).resolve().parent.parent
WORDS = "no one two three four five six seven eight nine ten eleven twelve thirteen".split()
PAGES = {
    name: re.sub(r"\s+", " ", (ROOT / name).read_text(encoding="utf-8"))
    for name in ("README.md", "book/index.md", "book/findings.md")
}


@pytest.fixture(scope="module")
def tables():
    """{setting: its gains by label}."""
    return all_gains(*(load(n) for n in (*FRAMES, "search", "elsewhere_avmnist_mini")))


@pytest.fixture(scope="module")
def gained(tables):
    """{(label, "fused" or "weakest"): its clear gains, and how many are clear losses}."""
    out = {}
    for label in ("joint_unimodal", "masam", "sam", "msam"):
        for short in ("fused", "weakest"):
            rows = [t.loc[label, short] for t in tables.values() if clear(t, short)[label]]
            out[label, short] = [r for r in rows if r > 0], sum(r < 0 for r in rows)
    return out


@pytest.mark.parametrize("page", PAGES)
def test_texts_speak_of_all_settings(page):
    found = re.findall(r"(?:all|of|the) (\w+) settings", PAGES[page])
    assert len(found) >= 3 and set(found) == {WORDS[len(SEARCHED)]}


@pytest.mark.parametrize("page", PAGES)
def test_sam_and_msam_are_level_and_fixed_losses_raise_the_weakest(page, gained):
    assert "level with" in PAGES[page]
    for label in ("sam", "msam"):
        assert gained[label, "fused"] == ([], 0)
    up, down = gained["joint_unimodal", "weakest"]
    found = re.search(r"gains clearly \[?in (\w+) of (\w+) settings", PAGES[page])
    assert found is not None and down == 0
    assert found.groups() == (WORDS[len(up)], WORDS[len(SEARCHED)])


def test_the_counts_of_the_readme_are_those_of_the_tables(gained):
    for page in ("README.md", "book/index.md"):
        found = re.search(r"raise it clearly in (\w+) of \w+ settings, MASAM, which has such "
                          r"losses, in (\w+), by up to (\d\.\d)", PAGES[page])  # fmt: skip
        fixed, masam = gained["joint_unimodal", "fused"][0], gained["masam", "fused"][0]
        assert found is not None
        assert found.groups() == (WORDS[len(fixed)], WORDS[len(masam)], f"{max(masam):.1f}")


def test_the_counts_of_the_findings_are_those_of_the_tables(gained):
    span = r"by (\d\.\d) to (\d\.\d) points"
    said = rf"in (\w+) of \w+ settings, {span}; fixed unimodal losses do so in (\w+), {span}"
    found = re.search(said, PAGES["book/findings.md"])
    assert found is not None
    expected = []
    for label in ("masam", "joint_unimodal"):
        values, losses = gained[label, "fused"]
        assert losses == 0
        expected += [WORDS[len(values)], f"{min(values):.1f}", f"{max(values):.1f}"]
    assert list(found.groups()) == expected


def test_by_its_own_head_the_weakest_modality_gains_where_the_findings_say(tables):
    heads = {where.dataset: t for where, t in tables.items() if "head" in t}
    text = PAGES["book/findings.md"]
    assert "gains clearly under fixed losses wherever there is one but on MOSI" in text
    assert [k for k, t in heads.items() if not clear(t, "head")["joint_unimodal"]] == ["mosi"]
    assert "SAM nowhere raises it so, M-SAM at 0 dB (5.0 ± 1.6 points) and on mfeat" in text
    up = {
        label: [k for k, t in heads.items() if clear(t, "head")[label] and t.loc[label, "head"] > 0]
        for label in ("sam", "msam")
    }
    assert up == {"sam": [], "msam": ["mfeat", "avmnist_mini@snr_db=0"]}
