"""Pictures and tables: pure functions from frames to figures. Imports no torch.

>>> from msam_lib.plots import accuracy_curves, results_table, show
"""

from __future__ import annotations

from msam_lib.labels import display_names
from msam_lib.plots.curves import accuracy_curves, curves_alt
from msam_lib.plots.dominance import (
    class_heatmap,
    class_heatmap_alt,
    contribution_alt,
    contribution_curves,
)
from msam_lib.plots.perturbation import strong_versus_weak, strong_versus_weak_alt
from msam_lib.plots.results_table import results_table, table_alt
from msam_lib.plots.saving import save
from msam_lib.plots.style import figure_size, palette, show, theme
from msam_lib.plots.table import Table

__all__ = [
    "Table",
    "accuracy_curves",
    "class_heatmap",
    "class_heatmap_alt",
    "contribution_alt",
    "contribution_curves",
    "curves_alt",
    "display_names",
    "figure_size",
    "palette",
    "results_table",
    "save",
    "show",
    "strong_versus_weak",
    "strong_versus_weak_alt",
    "table_alt",
    "theme",
]
