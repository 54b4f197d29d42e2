"""Freezing a comparison, and the summary of all comparisons."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from msam_lib.errors import MsamError
from msam_lib.experiments.comparison import PlannedRow
from msam_lib.experiments.freeze.merging import with_earlier
from msam_lib.experiments.freeze.runs import provenance_of, rows_kept
from msam_lib.experiments.measurements import collect
from msam_lib.results.frame import COLUMNS, reported_epoch
from msam_lib.results.frozen import load, path_of, version_of, write_frame
from msam_lib.results.headline import HEADLINES

# Metrics kept at every epoch, by split, and metrics of the test split kept at the reported one.
EVERY_EPOCH = {"val": tuple(HEADLINES), "test": (*HEADLINES, "contribution")}
AT_REPORTED = (
    *(m for h in HEADLINES.values() for m in (*h.measured[1:], h.floor_metric)),
    *("labels_counted", "labels", "macro_f1", "loss"),
)


def freeze_comparison(
    plan: Sequence[PlannedRow],
    name: str,
    store: str | os.PathLike[str],
    folder: str | os.PathLike[str] = "figures/data",
    *,
    add: bool = True,
) -> Path:
    """Write what the figures need of finished comparison runs to `<folder>/<name>.csv.gz`, and
    return that path. Rows of other methods and fusions that are there already stay.

    The column `label` holds the row's name (`"msam:reading=encoder"`); the tuned options are in the
    provenance. Accuracies and contributions are kept at every epoch, other metrics at the reported
    one.

    Args:
        plan: the rows, possibly of several fusions.
        name, folder: where to write.
        store: folder of the runs.
        add: False replaces everything that was frozen under this name.

    Raises:
        MsamError: no run of the plan has finished.
    """
    # {run: name of its row}, for a run's own label holds the tuned options, too.
    row_of = {e.name: row for row in plan for e in row.experiments}
    paths = [Path(store) / n for n in row_of if (Path(store) / n / "DONE").exists()]
    if not paths:
        raise MsamError(
            f"None of the {len(row_of)} runs has finished in {store}. `python -m msam_lib "
            "comparison` trains them."
        )
    parts = []
    for path in paths:
        row, part = row_of[path.name], collect([path])
        parts.append(part.assign(label=row.label, dataset=row.dataset or part["dataset"]))
    frame = pd.concat(parts, ignore_index=True)
    # Some metrics are shown at the reported epoch only: the file stays small.
    ends = reported_epoch(frame)
    rows = rows_kept(
        frame, EVERY_EPOCH, ends[(ends["split"] == "test") & ends["metric"].isin(AT_REPORTED)]
    )
    target, record = path_of(name, folder), provenance_of(paths)
    if add:
        rows, record = with_earlier(rows, record, target)
    return write_frame(target, rows, record, float_format="%.4g")


def summarise(folder: str | os.PathLike[str] = "figures/data") -> Path:
    """Write `methods.csv.gz`, from which ranks and pictures of all methods are drawn, and return
    its path: the reported epoch of every comparison frozen in a folder, and the costs if they are
    there. Data sets with options (`methods_avmnist_mini@snr_db=-6`) are left out: the same data
    would count several times.

    Raises:
        MsamError: no comparison is there.
    """
    names = sorted(p.name.removesuffix(".csv.gz") for p in Path(folder).glob("methods_*.csv.gz"))
    names = [n for n in names if "@" not in n]
    if not names:
        raise MsamError(f"No comparison in {folder}. `python -m msam_lib comparison` makes one.")
    frames = [load(n, folder) for n in names]
    # Test accuracies and contributions at the reported epoch of every run.
    kept = (*(m for h in HEADLINES.values() for m in h.measured[:2]), "contribution")
    parts = [reported_epoch(f) for f in frames]
    parts = [f[(f["split"] == "test") & f["metric"].isin(kept)] for f in parts]
    if (Path(folder) / "costs.csv.gz").exists():
        parts.append(_costs(pd.read_csv(Path(folder) / "costs.csv.gz")))
    rows = pd.concat(parts)[COLUMNS]
    sources = {n: f.attrs["provenance"].get("sha256") for n, f in zip(names, frames, strict=True)}
    return write_frame(
        Path(folder) / "methods.csv.gz",
        rows,
        {"made from": sources, "version": min(map(version_of, frames))},
        float_format="%.4g",
    )


def _costs(costs: pd.DataFrame) -> pd.DataFrame:
    """The measured costs with two modalities, as ratios to joint training, in tidy rows."""
    # Settings read "<where>, <fusion>, M=<number of modalities>".
    setting = costs["setting"].str.extract(r"^\w+, (?P<fusion>\w+), M=(?P<m>\d)$")
    # The summary compares costs with two modalities.
    two = costs[setting["m"] == "2"].assign(fusion=setting["fusion"])
    same = {"dataset": "cost", "seed": 0, "preset": "", "epoch": 0, "step": 0, "split": "cost"}
    return two.assign(
        **same,
        method=two["name"].str.partition(":")[0],
        label=two["name"],
        run=two["name"] + two["fusion"],
        modality="fused",
        metric=two["quantity"],
        value=two["ratio"],
    )
