"""Pictures of curvature: Hessian traces over epochs, and the density of the eigenvalues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from msam_lib.errors import MsamError
from msam_lib.plots import series
from msam_lib.plots.style import TEXT_WIDTH, palette, panels, styled
from msam_lib.results.rows import choose, metric_rows

LEVEL = 1.96  # of a normal 95 % interval


def bands(frame: pd.DataFrame, metric: str, split: str = "probe") -> pd.DataFrame:
    """Mean and 95 % interval by label, modality and epoch, in the metric's units: columns label,
    modality, epoch, mean, low, high.

    With several seeds the interval is the Student-t interval over them; with one seed it is that of
    the estimate, from the rows `<metric>_se`, where there are any.
    """
    from scipy.stats import t

    rows = metric_rows(frame, metric, split)
    errors = frame[(frame["metric"] == f"{metric}_se") & (frame["split"] == split)]
    keys = ["label", "modality", "epoch"]
    out = rows.groupby(keys, sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    se = errors.groupby(keys)["value"].mean().rename("se").reset_index()
    out = out.merge(se, on=keys, how="left")
    several = out["count"] > 1
    half = t.ppf(0.975, (out["count"] - 1).clip(lower=1)) * out["std"] / np.sqrt(out["count"])
    half = half.where(several, LEVEL * out["se"])
    out["low"], out["high"] = out["mean"] - half, out["mean"] + half
    return out[[*keys, "mean", "low", "high"]]


@styled
def trace_curves(
    frame: pd.DataFrame,
    *,
    labels: Sequence[str] | None = None,
    titles: Mapping[str, str] | None = None,
    blocks: Sequence[str] | None = None,
    metric: str = "hessian_trace",
    ylabel: str = "trace of the Hessian",
    scale: str = "linear",
    columns: int = 4,
) -> Figure:
    """A number per block (by default the Hessian's trace) over epochs: a panel per method, all on
    one scale.

    Args:
        frame: tidy rows of one data set and one fusion (label, seed, epoch, split, modality,
            metric, value).
        labels: methods, in this order; all by default.
        titles: {label or method: name}.
        blocks: modalities, `"fusion"`, and `"fused"` for all weights; the modalities by default.
        metric, ylabel: another metric recorded by a probe, and its name on the axis.
        scale: of the vertical axis, `"linear"`, `"log"` or `"symlog"` (traces can be negative).
        columns: panels side by side, at most.
    """
    shown = choose(frame, labels, titles)
    points = bands(frame[frame["label"].isin(shown)], metric)
    if blocks is None:
        blocks = [m for m in points["modality"].unique() if m not in ("fused", "fusion")]
    points = points[points["modality"].isin(blocks)]
    looks = palette(points["modality"])
    figure, axes = panels(len(shown), columns=columns, sharex=True, sharey=True)
    for ax, (label, name) in zip(axes, shown.items(), strict=True):
        curves = points[points["label"] == label]
        for m, look in looks.items():
            part = curves[curves["modality"] == m]
            series.line(ax, part, look, name=m, factor=1, marks=6, clip_on=True)
        ax.set_yscale(scale)
        ax.set_title(series.wrap(name))
        ax.set_xlabel("epoch")
        ax.axhline(0, color="#444444", lw=0.6, zorder=1)
    axes[0].set_ylabel(ylabel)
    series.legend(figure, looks)
    return figure


def trace_alt(
    frame: pd.DataFrame,
    *,
    titles: Mapping[str, str] | None = None,
    metric: str = "hessian_trace",
    quantity: str = "trace of the Hessian",
) -> str:
    """What `trace_curves` shows, in words: the last measured value of every modality."""
    points = bands(frame, metric)
    names = choose(frame, None, titles)
    parts = []
    for label, name in names.items():
        part = points[(points["label"] == label) & ~points["modality"].isin(["fused", "fusion"])]
        last = part[part["epoch"] == part["epoch"].max()]
        numbers = zip(last["modality"], last["mean"], strict=True)
        parts.append(f"{name}: " + ", ".join(f"{m} {v:.3g}" for m, v in numbers))
    return (
        f"Lines of the {quantity} per modality over epochs. At the end, " + "; ".join(parts) + "."
    )


@styled
def spectral_density_plot(
    densities: Mapping[str, Any],
    *,
    width: float | None = None,
    floor: float = 1e-6,
) -> Figure:
    """Density of the Hessian's eigenvalues, one curve per block, on a logarithmic axis.

    Args:
        densities: {name: `SpectralDensity`, or (grid, density)}.
        width: of the Gaussians, in units of the eigenvalues; see `SpectralDensity.density`.
        floor: the lowest density drawn.

    Raises:
        MsamError: nothing to draw.
    """
    if not densities:
        raise MsamError("No spectrum to draw; pass at least one, {name: spectral_density(...)}.")
    looks = palette(densities)
    figure = Figure(figsize=(TEXT_WIDTH * 0.7, TEXT_WIDTH * 0.42), layout="constrained")
    ax = figure.subplots()
    for name, look in looks.items():
        entry = densities[name]
        x, y = entry.density(width=width) if hasattr(entry, "density") else entry
        ax.semilogy(x, np.maximum(y, floor), color=look.color, lw=look.width, label=name)
        ax.fill_between(x, floor, np.maximum(y, floor), color=look.color, alpha=0.12, lw=0)
    ax.set(xlabel="eigenvalue", ylabel="density", ylim=(floor, None))
    ax.legend()
    return figure


@styled
def estimates(
    counts: Sequence[int],
    means: Sequence[float],
    errors: Sequence[float],
    *,
    exact: float | None = None,
    xlabel: str = "probes",
    ylabel: str = "trace of the Hessian",
) -> Figure:
    """Estimates with their standard errors against the number of probes, beside the exact value.

    Args:
        counts: (K,) numbers of probes.
        means, errors: (K,) estimates and standard errors.
        exact: drawn as a line.
        xlabel, ylabel: what was counted and what was estimated.
    """
    look = palette(["fused"])["fused"]
    figure, (ax,) = panels(1)
    ax.errorbar(counts, means, errors, fmt="o", color=look.color, capsize=3, ms=4)
    if exact is not None:
        ax.axhline(exact, color="#D55E00", lw=1.2, ls="--")
        ax.annotate("exact", (counts[-1], exact), xytext=(6, 4), textcoords="offset points")
    ax.set(xscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.set_xticks(list(counts), [str(n) for n in counts])
    ax.xaxis.set_minor_formatter(NullFormatter())
    return figure
