"""The comparison of all methods on a data set: its rows, its experiments, its frozen results.

Imports no torch before the rows are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from msam_lib.config import Experiment
from msam_lib.errors import MsamError
from msam_lib.frozen import provenance_of, write_frozen
from msam_lib.results import COLUMNS, collect, final
from msam_lib.tune import FOLDER, Case, case_label, needs_heads, tuned

SEEDS = (0, 1, 2)
# Rows beside every method with its defaults.
VARIANTS: tuple[Case, ...] = (
    ("msam", {"reading": "encoder"}),
    ("msam", {"reading": "unimodal_loss"}),
    ("msam", {"ascent": "momentum"}),
)
NOISES = (0.0, 0.2, 0.4, 0.6)
NOISY: tuple[Case, ...] = (
    ("joint", {}),
    ("sam", {}),
    ("ogm_ge", {}),
    ("agm", {}),
    ("mmpareto", {}),
    ("masam", {}),
    ("msam", {}),
    ("msam", {"reading": "encoder"}),
)
ABLATED: tuple[Case, ...] = (("joint", {}), ("sam", {}), ("masam", {}))
ABLATIONS: tuple[dict[str, Any], ...] = ({"aps": False}, {"mdps": False}, {"variant": "released"})
EVERY_EPOCH = {"val": ("accuracy",), "test": ("accuracy", "contribution")}
AT_THE_END = ("accuracy_head", "accuracy_shapley", "macro_f1", "loss")


def cases(modalities: int, fusion: str = "late") -> list[Case]:
    """The rows of the comparison: every method that this fusion and number of modalities allow.

    Methods that need per-modality logits get heads of their own where the fusion has none; unimodal
    training is left out there, for it would train no fusion.
    """
    from msam_lib.methods import METHODS

    named: list[Case] = [(name, {}) for name in METHODS]
    named += [(n, dict(o)) for n, o in VARIANTS if n in METHODS]
    return [
        (name, options)
        for name, options in named
        if METHODS[name].tabled
        and METHODS[name].modalities in ("any", str(modalities))
        and (not METHODS[name].fusions or fusion in METHODS[name].fusions)
        and not (name == "unimodal" and needs_heads(name, options, fusion))
    ]


def experiment(
    case: Case,
    dataset: str,
    fusion: str,
    *,
    preset: str = "teach",
    seed: int = 0,
    folder: str | os.PathLike[str] = FOLDER,
    **changes: Any,
) -> Experiment:
    """A row's experiment with the learning rate and options that `tune` chose, where it did."""
    method, options = case
    choice = tuned(dataset, fusion, folder).get(case_label(case), {})
    heads = {"unimodal_heads": True} if needs_heads(method, options, fusion) else {}
    made = Experiment.preset(
        preset,
        dataset=dataset,
        fusion=fusion,
        method=method,
        method_options=options,
        seed=seed,
        **heads,
        **changes,
    )
    if not choice:
        return made
    return made.replace(lr=choice["lr"], method_options=choice["method_options"])


def experiments(
    dataset: str,
    fusion: str,
    rows: Iterable[Case],
    *,
    seeds: Sequence[int] = SEEDS,
    **options: Any,
) -> dict[str, list[Experiment]]:
    """{row: its experiments, one per seed}; see `experiment` for the options."""
    return {
        case_label(c): [experiment(c, dataset, fusion, seed=s, **options) for s in seeds]
        for c in rows
    }


def freeze_comparison(
    plan: dict[str, list[Experiment]],
    name: str,
    store: str | os.PathLike[str],
    folder: str | os.PathLike[str] = "figures/data",
) -> Path:
    """Write what the figures need of finished comparison runs to `<folder>/<name>.csv.gz`.

    The column `label` holds the row's name (`"msam:reading=encoder"`); the tuned options are in the
    provenance. Accuracies and contributions are kept at every epoch, all else at the reported one.

    Args:
        plan: {row: experiments}, possibly of several fusions under different keys `(fusion, row)`.
        name, folder: where to write.
        store: folder of the runs.

    Raises:
        MsamError: no run of the plan has finished.
    """
    rows_of = {e.name: label for label, several in plan.items() for e in several}
    paths = [Path(store) / n for n in rows_of if (Path(store) / n / "DONE").exists()]
    if not paths:
        raise MsamError(f"None of the {len(rows_of)} runs has finished in {store}.")
    parts = [collect([p]).assign(label=rows_of[p.name].rpartition("|")[2]) for p in paths]
    frame = pd.concat(parts, ignore_index=True)
    ends = final(frame)
    kept = [
        frame[(frame["split"] == split) & frame["metric"].isin(metrics)]
        for split, metrics in EVERY_EPOCH.items()
    ]
    kept.append(ends[(ends["split"] == "test") & ends["metric"].isin(AT_THE_END)])
    rows = pd.concat(kept)[COLUMNS].sort_values(COLUMNS[:-1], kind="stable")
    text = rows.to_csv(index=False, lineterminator="\n", float_format="%.4g")
    return write_frozen(Path(folder) / f"{name}.csv.gz", text, provenance_of(paths))


def noise_plan(
    dataset: str = "digits",
    *,
    seeds: Sequence[int] = SEEDS,
    preset: str = "teach",
    folder: str | os.PathLike[str] = FOLDER,
) -> dict[str, list[Experiment]]:
    """{"share|row@share": experiments}: some methods under wrong training labels (MASAM's test)."""
    return {
        f"{noise}|{case_label(c)}@{noise}": [
            experiment(c, dataset, "late", seed=s, preset=preset, folder=folder, label_noise=noise)
            for s in seeds
        ]
        for c in NOISY
        for noise in NOISES
    }


def ablation_plan(
    dataset: str = "digits",
    *,
    seeds: Sequence[int] = SEEDS,
    preset: str = "teach",
    folder: str | os.PathLike[str] = FOLDER,
) -> dict[str, list[Experiment]]:
    """{"ablation|row": experiments}: MASAM whole, without its parts, and as released."""
    whole = [
        experiment(("masam", {}), dataset, "late", seed=s, preset=preset, folder=folder)
        for s in seeds
    ]
    plan: dict[str, list[Experiment]] = {
        f"ablation|{case_label(c)}": [
            experiment(c, dataset, "late", seed=s, preset=preset, folder=folder) for s in seeds
        ]
        for c in ABLATED
    }
    for changes in ABLATIONS:
        plan[f"ablation|{case_label(('masam', changes))}"] = [
            e.replace(method_options=e.method_options | changes) for e in whole
        ]
    return plan


def summarise(folder: str | os.PathLike[str] = "figures/data") -> Path:
    """Write `methods.csv.gz`: the reported epoch of every comparison that is frozen in a folder,
    and the costs if they are there; the ranks and the pictures of all methods are drawn from it.

    Raises:
        MsamError: no comparison is there.
    """
    from msam_lib.frozen import load

    names = sorted(p.name.removesuffix(".csv.gz") for p in Path(folder).glob("methods_*.csv.gz"))
    if not names:
        raise MsamError(f"No comparison in {folder}. `python -m msam_lib comparison` makes one.")
    frames = [load(n, folder) for n in names]
    parts = [final(f) for f in frames]
    parts = [
        f[(f["split"] == "test") & f["metric"].isin(("accuracy", "contribution"))] for f in parts
    ]
    if (Path(folder) / "costs.csv.gz").exists():
        parts.append(_costs(pd.read_csv(Path(folder) / "costs.csv.gz")))
    rows = pd.concat(parts)[COLUMNS]
    text = rows.to_csv(index=False, lineterminator="\n", float_format="%.4g")
    sources = {n: f.attrs["provenance"].get("sha256") for n, f in zip(names, frames, strict=True)}
    return write_frozen(Path(folder) / "methods.csv.gz", text, {"made from": sources})


def _costs(costs: pd.DataFrame) -> pd.DataFrame:
    """Cost ratios with two modalities as rows of the summary."""
    setting = costs["setting"].str.extract(r"^\w+, (?P<fusion>\w+), M=(?P<m>\d)$")
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


def accuracies(frame: pd.DataFrame, modality: str = "fused") -> pd.DataFrame:
    """Test accuracy in percent at the reported epoch, one row per (dataset, fusion, label), one
    column per seed; a frame with one epoch of each run (`methods`) holds the reported ones.

    Raises:
        MsamError: several epochs, and no validation accuracy to choose by.
    """
    several = frame.groupby("run")["epoch"].nunique().max() > 1
    ends = final(frame) if several else frame
    own = ends[(ends["split"] == "test") & (ends["metric"] == "accuracy")]
    own = own[own["modality"] == modality]
    keys = ["dataset", "fusion", "label"]
    return 100 * own.pivot_table(index=keys, columns="seed", values="value")
