"""Pictures as files, in the size of a paper or of a slide."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from msam_lib.errors import unknown_name
from msam_lib.plots.style import DRAWING, FORMATS, settings

SIZES = ("paper", "slide")


def save(
    figure: Figure,
    stem: str | os.PathLike[str],
    formats: Sequence[str] = FORMATS,
    size: str = "paper",
) -> list[Path]:
    """Write `<stem>.pdf`, `.svg` and `.png` and return their paths; within one environment the same
    picture gives the same bytes.

    Args:
        figure: the picture.
        stem: of the paths.
        formats: endings.
        size: `"paper"` writes it as wide as it was drawn (300 dpi); `"slide"` lays it out anew on a
            page of 16:9 (1920 x 1080 pixels), no lower than 4.2 inches, so that text can be read.

    Raises:
        MsamError: an unknown format or size.
    """
    if unknown := [f for f in formats if f not in FORMATS]:
        raise unknown_name("format", unknown[0], FORMATS)
    if size not in SIZES:
        raise unknown_name("size", size, SIZES)
    dpi = 300.0
    if size == "slide":
        height = max(4.2, float(figure.get_size_inches()[1]))
        figure.set_size_inches(height * 16 / 9, height)
        dpi = 1080 / height
    no_date = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    paths = [Path(f"{stem}.{kind}") for kind in formats]
    with DRAWING, mpl.rc_context(settings()):
        for path, kind in zip(paths, formats, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, format=kind, metadata=no_date[kind], dpi=dpi)
    return paths
