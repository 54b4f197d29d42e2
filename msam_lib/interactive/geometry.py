"""Interactive pictures of landscapes, curvature and sharpness: each function returns an `Explorer`
over stored results. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from msam_lib.interactive.explorer import Explorer
from msam_lib.labels import display_names
from msam_lib.plots import series
from msam_lib.plots.curvature import bands
from msam_lib.plots.landscape import shared_limits, view
from msam_lib.plots.sharpness import NAMES, gap_by_method
from msam_lib.plots.style import palette, panels, styled
from msam_lib.results.landscape import Landscape
from msam_lib.results.rows import choose


def landscape_viewer(
    landscapes: Mapping[tuple[str, str], Landscape],
    *,
    elevations: Sequence[int] = (10, 30, 60, 88),
    azimuths: Sequence[int] = (-150, -105, -60, -15, 30, 75),
    ceiling: float | None = None,
) -> Explorer:
    """An explorer of loss surfaces: choose method, weights and viewpoint. The contours beside the
    surface show the same values.

    Height and colour have one scale per choice of weights, over all methods.

    Args:
        landscapes: {(method, weights): plane}.
        elevations, azimuths: viewpoints to choose from, in degrees.
        ceiling: of the drawn losses, in nats.
    """
    methods = list(dict.fromkeys(m for m, _ in landscapes))
    blocks = list(dict.fromkeys(b for _, b in landscapes))
    # {weights: lowest and highest loss over all methods}
    limits = {
        b: shared_limits({m: s for (m, of), s in landscapes.items() if of == b}, ceiling=ceiling)
        for b in blocks
    }

    def draw(method: str, weights: str, elevation: int, azimuth: int) -> Figure:
        return view(
            landscapes[method, weights],
            limits=limits[weights],
            elevation=elevation,
            azimuth=azimuth,
            title=f"{method}, {weights}",
        )

    def alt(method: str, weights: str, elevation: int, azimuth: int) -> str:
        s = landscapes[method, weights]
        return (
            f"Loss surface of {method} over {weights} seen from {elevation} degrees above: "
            f"{s.at_origin:.2f} in the centre, {s.rise():.2f} above it on average."
        )

    return Explorer(
        draw,
        {"method": methods, "weights": blocks, "elevation": elevations, "azimuth": azimuths},
        alt,
        start={"elevation": elevations[len(elevations) // 3], "azimuth": azimuths[2]},
    )


def curvature_scrubber(
    frame: pd.DataFrame, metric: str = "hessian_trace", quantity: str = "trace of the Hessian"
) -> Explorer:
    """An explorer of curvature: choose an epoch, see the curvature of each modality's encoder under
    every method, with 95 % intervals.

    Args:
        frame: tidy rows of one data set and one fusion with probes of that metric.
        metric, quantity: the metric, and its name on the axis.
    """
    names = choose(frame[frame["metric"] == metric], None)
    points = bands(frame[frame["label"].isin(names)], metric)
    points = points[~points["modality"].isin(["fused", "fusion"])]
    # One scale for all epochs.
    highest = float(points["high"].fillna(points["mean"]).max())
    looks = palette(points["modality"])

    @styled
    def draw(epoch: int) -> Figure:
        figure, (ax,) = panels(1)
        now = points[points["epoch"] == epoch]
        # The modalities stand side by side at each method.
        for shift, (m, look) in zip(
            np.linspace(-0.12, 0.12, len(looks)), looks.items(), strict=True
        ):
            means = now[now["modality"] == m].set_index("label").reindex(names)
            x = np.arange(len(names)) + shift
            error = np.vstack([means["mean"] - means["low"], means["high"] - means["mean"]])
            style = {"color": look.color, "marker": look.marker, "label": m, "ls": "none"}
            ax.errorbar(x, means["mean"], _bars(error), capsize=2, elinewidth=1, **style)
        ax.set(
            ylabel=quantity,
            ylim=(min(0.0, float(points["mean"].min())), 1.05 * highest),
            xlim=(-0.5, len(names) - 0.5),
        )
        ax.set_xticks(range(len(names)), [series.wrap(n) for n in names.values()])
        ax.set_title(f"epoch {epoch}")
        series.legend(figure, looks)
        return figure

    def alt(epoch: int) -> str:
        now = points[points["epoch"] == epoch]
        parts = [f"{names[r.label]} {r.modality} {r.mean:.3g}" for r in now.itertuples()]
        return f"{quantity[0].upper()}{quantity[1:]} at epoch {epoch}: " + ", ".join(parts) + "."

    epochs = sorted(int(e) for e in points["epoch"].unique())
    return Explorer(draw, {"epoch": epochs}, alt, start={"epoch": epochs[-1]}, play="epoch")


def _bars(error: np.ndarray) -> np.ndarray | None:
    """Error bars (2, n) with unknown ones as 0; None where all are unknown."""
    return None if np.isnan(error).all() else np.nan_to_num(error).clip(min=0)


def gap_explorer(frame: pd.DataFrame, chosen: str = "fused") -> Explorer:
    """An explorer of sharpness against the gap: choose a measure and the weights that it is taken
    over, see one point per run.

    Args:
        frame: rows of `results.sharpness.gaps`.
        chosen: the weights shown first: a modality's encoder, or `"fused"` for all.
    """
    measures = {str(m): NAMES.get(str(m), str(m)) for m in frame["measure"].unique()}
    # All rows that a state can show, by measure and weights.
    by_choice = {
        (m, w): frame[(frame["measure"] == m) & (frame["modality"] == w)]
        for m in measures
        for w in frame["modality"].unique()
    }
    names = display_names(frame["label"].unique())

    def draw(measure: str, weights: str) -> Figure:
        return gap_by_method(by_choice[measure, weights], names)

    def alt(measure: str, weights: str) -> str:
        rows = by_choice[measure, weights].groupby("label")[["value", "gap"]].mean()
        parts = [f"{names[k]} {r.value:.3g} and gap {r.gap:.1f} %" for k, r in rows.iterrows()]
        return f"{measures[measure]} of {weights}, mean over seeds: " + "; ".join(parts) + "."

    weights = list(dict.fromkeys([chosen, *frame["modality"].unique()]))
    return Explorer(draw, {"measure": list(measures), "weights": weights}, alt)
