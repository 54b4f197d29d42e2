"""Every plot on made-up results of known numbers, for two and for three modalities."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from msam_lib import plots
from msam_lib.errors import MsamError
from msam_lib.labels import parse, radii
from msam_lib.plots import style
from msam_lib.results.rows import ALL, NONE, STRONG, WEAK, roles
from tests import fabricated

TWO, THREE = ("audio", "visual"), ("x1", "x2", "x3")
BOTH = pytest.mark.parametrize("modalities", [TWO, THREE], ids=["two", "three"])
METHODS = ["Joint training", "SAM", "M-SAM", "M-SAM\n(encoder)"]


def shown(figure: Figure) -> list:
    return [ax for ax in figure.axes if ax.get_visible()]


def line(ax, name: str) -> Line2D:
    return next(x for x in ax.lines if x.get_label() == name)


def boxes_overlap(figure: Figure) -> bool:
    """Whether two visible titles, axis labels or tick labels of one figure lie on each other."""
    figure.draw_without_rendering()
    texts = [ax.title for ax in shown(figure)]
    for ax in shown(figure):
        texts += [t for t in (*ax.get_xticklabels(), *ax.get_yticklabels()) if t.get_visible()]
    found = [t.get_window_extent() for t in texts if t.get_text()]
    return any(a.overlaps(b) for i, a in enumerate(found) for b in found[i + 1 :])


# --- style ----------------------------------------------------------------------------------------


def test_drawing_leaves_the_global_settings_alone():
    before = dict(mpl.rcParams)
    plots.accuracy_curves(fabricated.results())
    assert dict(mpl.rcParams) == before
    with mpl.rc_context():
        plots.theme()
        assert mpl.rcParams["axes.spines.top"] is False


def test_shown_pictures_carry_their_alternative_text(capsys, monkeypatch):
    figure = plots.contribution_curves(fabricated.results())
    content = style.bundle(figure, 'shares & "more"')
    assert set(content) == {"text/html", "image/png", "text/plain"}
    assert (
        '<img alt="shares &amp; &quot;more&quot;" src="data:image/png;base64,'
        in content["text/html"]
    )
    with pytest.raises(MsamError, match="alt"):
        plots.show(figure, alt=" ")


# --- names ----------------------------------------------------------------------------------------


def test_display_names_tell_labels_apart():
    labels = [
        "msam:rho=0.1",
        "sam:rho=0.2",
        "sam:rho=0.1",
        "msam:ascent=momentum,rho=0.1",
        "new:k=2",
    ]
    assert list(plots.display_names(labels).values()) == [
        "SAM (ρ=0.1)", "SAM (ρ=0.2)", "new (k=2)", "M-SAM", "M-SAM (momentum)",
    ]  # fmt: skip
    assert plots.display_names(["new:k=2"], {"new": "NEW"}) == {"new:k=2": "NEW (k=2)"}
    assert parse("m:hidden=(3, 4),k=1") == ("m", {"hidden": "(3, 4)", "k": "1"})
    assert radii(["joint"]) == ""
    assert radii(["joint", "sam:rho=0.1", "msam:rho=0.1"]) == "ρ = 0.1."
    assert radii(["sam:rho=0.1", "asam:rho=1.0"]) == "ρ: SAM 0.1, ASAM 1.0."


# --- curves ---------------------------------------------------------------------------------------


@BOTH
def test_accuracy_curves(modalities):
    frame = fabricated.results(modalities)
    alone = frame[frame["method"] == "unimodal"]
    figure = plots.accuracy_curves(frame, reference=alone)
    panels = shown(figure)
    assert [ax.get_title() for ax in panels] == METHODS
    drawn = line(panels[1], modalities[1])  # SAM, number 2 of the labels
    want = [100 * fabricated.accuracy(2, 1, e, 1) for e in range(4)]
    np.testing.assert_allclose(drawn.get_ydata(), want)
    assert drawn.get_color() == style.palette(modalities)[modalities[1]].color
    assert len(panels[0].collections) == len(modalities) + 1  # a band each
    dashed = [x for x in panels[0].lines if len(set(x.get_ydata())) == 1]
    heights = sorted(x.get_ydata()[0] for x in dashed)
    want = [100 * (fabricated.accuracy(1, 1, 2, m) + 0.1) for m in range(len(modalities))]
    np.testing.assert_allclose(heights, want)
    assert panels[0].get_ylim() == (0, 100)
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.texts] == [*modalities, "fused", "trained alone"]
    assert "epoch" in figure.get_supxlabel() and "%" in figure.get_supylabel()
    assert not boxes_overlap(figure)
    text = plots.curves_alt(frame, reference=alone)
    assert "SAM: fused 64 %" in text and "3 seeds" in text


def test_accuracy_curves_of_one_seed_have_no_band():
    figure = plots.accuracy_curves(fabricated.results(seeds=[0]), labels=["msam:rho=0.1"])
    assert [len(ax.collections) for ax in shown(figure)] == [0]


def test_seven_panels_leave_no_empty_one():
    labels = ["joint", *(f"sam:rho=0.{i}" for i in range(1, 7))]
    figure = plots.accuracy_curves(fabricated.results(labels=labels))
    assert len(shown(figure)) == 7
    assert shown(figure)[3].xaxis.get_tick_params()["labelbottom"]
    assert not boxes_overlap(figure)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: plots.accuracy_curves(f, labels=["jiont"]), "Did you mean 'joint'"),
        (lambda f: plots.accuracy_curves(f, split="train"), "No accuracy on train"),
        (lambda f: plots.accuracy_curves(fabricated.everything()), "several fusions"),
        (lambda f: plots.accuracy_curves(f[f["method"] == "unimodal"]), "No accuracy|Nothing"),
        (lambda f: plots.class_heatmap(f, modality="smell"), "modality"),
        (lambda f: plots.class_heatmap(f, classes=["a"]), "1 class names for 3"),
        (lambda f: plots.strong_versus_weak(f[f["method"] == "joint"]), "Fewer than two"),
        (lambda f: plots.results_table(f).to("docx"), "table format"),
        (lambda f: style.figure_size("wide"), "width"),
        (lambda f: style.settings("poster"), "context"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(MsamError, match=message):
        change(fabricated.results())


# --- dominance ------------------------------------------------------------------------------------


@BOTH
def test_contribution_curves(modalities):
    frame = fabricated.results(modalities)
    figure = plots.contribution_curves(frame)
    ax = shown(figure)[0]
    equal = 100 / len(modalities)
    assert any(set(x.get_ydata()) == {equal} for x in ax.lines)
    last = line(ax, modalities[-1]).get_ydata()[-1]
    assert last == pytest.approx(100 * len(modalities) / sum(range(1, len(modalities) + 1)))
    assert not boxes_overlap(figure)
    assert f"{modalities[-1]} {last:.0f} %" in plots.contribution_alt(frame)


@BOTH
def test_class_heatmap(modalities):
    frame = fabricated.results(modalities)
    # A probe's block is no modality: it must not change the equal share.
    probe = frame.iloc[:1].assign(split="probe", modality="fusion", metric="hessian_trace")
    figure = plots.class_heatmap(pd.concat([frame, probe]))
    ax = figure.axes[0]
    share = 100 * len(modalities) / sum(range(1, len(modalities) + 1))
    (image,) = ax.images
    assert image.get_array().shape == (5, 3)
    np.testing.assert_allclose(image.get_array(), share)
    assert image.norm.vcenter == pytest.approx(100 / len(modalities))
    assert {t.get_text() for t in ax.texts} == {f"{share:.0f}"}
    assert modalities[-1] in ax.get_title()
    assert ax.get_yticklabels()[0].get_text() == "Unimodal"
    assert not boxes_overlap(figure)
    assert modalities[-1] in plots.class_heatmap_alt(frame)


# --- strong versus weak ---------------------------------------------------------------------------


@BOTH
def test_strong_versus_weak(modalities):
    frame = fabricated.results(modalities, labels=(*fabricated.LABELS, *fabricated.EXTRA))
    figure = plots.strong_versus_weak(frame)
    axes = figure.axes
    assert [t.get_text() for t in axes[0].get_yticklabels()] == [
        NONE, ALL, STRONG, WEAK,
    ]  # fmt: skip
    assert axes[0].get_title().endswith(modalities[0]) and modalities[-1] in axes[1].get_title()
    for ax, m in zip(axes, (0, len(modalities) - 1, -1), strict=True):
        hollow = [x for x in ax.lines if x.get_markerfacecolor() == "none"]
        want = [100 * fabricated.accuracy(5, s, 2, m) for s in range(3)]  # SAM at the same radius
        np.testing.assert_allclose(hollow[1].get_xdata(), want)
    assert not boxes_overlap(figure)
    assert STRONG in plots.strong_versus_weak_alt(frame)


def test_the_only_sam_is_taken_whatever_its_radius():
    labels = [
        "joint",
        "sam:rho=0.1",
        fabricated.ONE + "dominant",
        "msam:reading=encoder,target=audio",
    ]
    assert list(roles(labels)) == labels[:3]


# --- tables ---------------------------------------------------------------------------------------


def test_reading_results_needs_no_torch():
    code = (
        "import sys, msam_lib.plots, msam_lib.results, msam_lib.figures.registry; "
        "import msam_lib.experiments.suite; "
        "sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
