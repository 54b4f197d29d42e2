"""How every picture looks: colours and markers of modalities, sizes, showing.

Nothing here changes matplotlib's global settings but `theme()`, which notebooks call once.
"""

from __future__ import annotations

import base64
import functools
import html
import io
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from msam_lib.errors import MsamError, unknown_name

P = ParamSpec("P")
DRAWING = threading.RLock()  # matplotlib's settings are global; a live panel draws in a thread

TEXT_WIDTH = 5.5  # inches, of a NeurIPS page
GREY = "#6E6E6E"  # text and lines in the background, 5:1 on white
FORMATS = ("pdf", "svg", "png")


class Look(NamedTuple):
    """How a modality is drawn: colour, marker, line width and marker size (points)."""

    color: str
    marker: str
    width: float = 1.4
    size: float = 4.5


# Contrast on white is at least 3:1; where two colours come close for some readers, markers differ.
LOOKS = {
    "audio": Look("#0072B2", "o"),
    "visual": Look("#D55E00", "s"),
    "text": Look("#009E73", "^"),
}
SPARE = (Look("#CC79A7", "D"), Look("#8C5A00", "v"), Look("#8C8C8C", "P"), Look("#5B3FA0", "X"))
FUSED = Look("#222222", "*", 1.9, 7.5)
ALIASES = {"image": "visual", "video": "visual", "speech": "audio", "sound": "audio"}


def modality_order(names: Iterable[str]) -> list[str]:
    """The names in drawing order: audio, visual, text, then others by name; `"fused"` last."""
    first = list(LOOKS)

    def rank(name: str) -> tuple[int, str]:
        known = ALIASES.get(name, name)
        if name == "fused":
            return len(first) + 1, name
        return (first.index(known) if known in first else len(first)), name

    return sorted(set(names), key=rank)


def palette(names: Iterable[str]) -> dict[str, Look]:
    """{modality: look}, in the order in which modalities are drawn. Known names keep their look;
    others take what is left, by name.

    >>> {m: look.marker for m, look in palette(["fused", "x2", "x1"]).items()}
    {'x1': 'o', 'x2': 's', 'fused': '*'}
    """
    order = modality_order(names)
    out: dict[str, Look] = {}
    # Known names (or aliases, where the name itself is not among them) come first ...
    for name in order:
        known = ALIASES.get(name, name)
        if known in LOOKS and LOOKS[known] not in out.values():
            out[name] = LOOKS[known]
    # ... and the others take the looks that are left; when none is, a grey initial.
    free = [look for look in (*LOOKS.values(), *SPARE) if look not in out.values()]
    for name in order:
        if name == "fused":
            out[name] = FUSED
        elif name not in out:
            out[name] = free.pop(0) if free else Look(GREY, f"${name[:1]}$")
    return {name: out[name] for name in order}


def settings(context: str = "paper") -> Any:  # a dict; matplotlib types its keys one by one
    """Matplotlib settings of a context, `"paper"` (8 pt text) or `"notebook"` (10 pt)."""
    if context not in ("paper", "notebook"):
        raise unknown_name("context", context, ["paper", "notebook"])
    size = 8 if context == "paper" else 10
    return {
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
        "font.size": size,
        "axes.titlesize": size,
        "axes.labelsize": size,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "legend.fontsize": size,
        "legend.frameon": False,
        "figure.titlesize": size + 1,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.edgecolor": "#444444",
        "axes.linewidth": 0.7,
        "grid.color": "#E3E3E3",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.4,
        "lines.markersize": 4,
        "pdf.fonttype": 42,  # TrueType, as conferences ask
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "msam_lib",  # the same ids every time
        "savefig.dpi": 300,
    }


def theme(context: str = "notebook") -> None:
    """Set the project's look for all further pictures of this process.

    Args:
        context: `"paper"` or `"notebook"`; see `settings`.
    """
    mpl.rcParams.update(settings(context))


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """The function, drawing in the project's look without changing the global settings."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with DRAWING, mpl.rc_context(settings()):
            return draw(*args, **kwargs)

    return wrapped


def figure_size(
    width: str = "full", rows: int = 1, columns: int = 1, aspect: float = 0.75
) -> tuple[float, float]:
    """Width and height in inches of a grid of panels.

    Args:
        width: `"full"` (the text's width, 5.5 inches) or `"half"`.
        rows: of panels.
        columns: of panels.
        aspect: height of a panel over its width.
    """
    if width not in ("full", "half"):
        raise unknown_name("width", width, ["full", "half"])
    total = TEXT_WIDTH if width == "full" else TEXT_WIDTH / 2
    return total, rows * aspect * total / columns + 0.5


def panels(
    count: int, *, columns: int = 4, aspect: float = 0.85, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure (without pyplot's state) and its panels as a flat array.

    Args:
        count: number of panels.
        columns: panels side by side, at most.
        aspect: height of a panel over its width.
        **options: of `Figure.subplots`, such as `sharey=True`.

    Raises:
        MsamError: no panels.
    """
    if count < 1:
        raise MsamError("Nothing to draw: no method is left after the selection of rows.")
    columns = min(columns, count)
    aspect = min(aspect, 0.5) if columns == 1 else aspect  # a single panel need not be square
    rows = -(-count // columns)
    figure = Figure(figsize=figure_size("full", rows, columns, aspect), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    # Where the last row is not full, panels without one below them keep their tick labels.
    for i, ax in enumerate(axes):
        ax.set_visible(i < count)
        if i < count <= i + columns:
            ax.xaxis.set_tick_params(labelbottom=True)
    return figure, axes[:count]


def bundle(figure: Figure, alt: str, dpi: int = 110, colors: int = 96) -> dict[str, str]:
    """The picture as {mime type: content}: `text/html` with the alternative text, `image/png`
    (base64), `text/plain`.

    Args:
        figure: the picture.
        alt: its alternative text.
        dpi: dots per inch.
        colors: how many; with 96 the eye sees no difference in a third of the bytes.

    Raises:
        MsamError: the alternative text is empty.
    """
    if not alt.strip():
        raise MsamError("alt is empty; describe the picture in one or two sentences.")
    from PIL import Image  # comes with matplotlib

    buffer, small = io.BytesIO(), io.BytesIO()
    with DRAWING, mpl.rc_context(settings()):
        figure.savefig(buffer, format="png", dpi=dpi)
    # few colours, so that notebooks stay small
    Image.open(buffer).convert("RGB").quantize(colors).save(small, format="png", optimize=True)
    buffer = small
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
    return {"text/html": image, "image/png": data, "text/plain": alt}


def show(figure: Figure, alt: str, dpi: int = 110, colors: int = 96) -> None:
    """Show a picture in a notebook together with its alternative text (elsewhere the text
    alone); see `bundle`.
    """
    content = bundle(figure, alt, dpi, colors)
    try:
        from IPython.display import display
    except ImportError:
        print(alt)
    else:
        display(content, raw=True)
