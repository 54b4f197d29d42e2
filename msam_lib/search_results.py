"""The search for learning rates as frozen results, and the picture of what it decides."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.config import Experiment
from msam_lib.frozen import sha256, write_frozen
from msam_lib.paper_items import WORDS, PaperItem, comparison_name
from msam_lib.plots.names import display_names, parse
from msam_lib.plots.search import search_alt, search_curves
from msam_lib.results import COLUMNS
from msam_lib.tune import FOLDER, tuned

SHOWN = ("joint", "sam", "msam", "msam:reading=encoder", "mmpareto", "masam")


def freeze_search(
    out: str | os.PathLike[str] = "figures/data", folder: str | os.PathLike[str] = FOLDER
) -> Path:
    """Write every trial of every search as `search.csv.gz`.

    Columns are those of all frozen results, and lr, preset_lr (the preset's) and option (the value
    of the method's main option; "" for methods without one).

    Args:
        out: folder of the frozen results.
        folder: where `tune` keeps the choices.
    """
    rows, sources, commits = [], {}, set()
    for path in sorted(Path(folder).glob("*.json")):
        dataset, _, fusion = path.stem.rpartition("-")
        sources[path.name] = sha256(path.read_bytes())
        for label, choice in json.loads(path.read_text()).items():
            commits.add(choice["commit"])
            method, fixed = parse(label)
            usual = Experiment.preset(choice["preset"], dataset=dataset, fusion=fusion).lr
            for k, trial in enumerate(choice["trials"]):
                own = [str(v) for n, v in trial["method_options"].items() if n not in fixed]
                rows.append(
                    {"dataset": dataset, "fusion": fusion, "method": method}
                    | {"label": label, "seed": choice["seeds"][0], "preset": choice["preset"]}
                    | {"run": f"{path.stem}-{label}-{k}", "epoch": 0, "step": 0, "split": "val"}
                    | {"modality": "fused", "metric": "accuracy", "value": trial["val_accuracy"]}
                    | {"lr": round(trial["lr"], 6), "preset_lr": usual, "option": ",".join(own)}
                )
    frame = pd.DataFrame(rows)[[*COLUMNS, "lr", "preset_lr", "option"]]
    text = frame.to_csv(index=False, lineterminator="\n")
    record = {"made from": sources, "commit": sorted(commits)}
    return write_frozen(Path(out) / "search.csv.gz", text, record)


def search_told(
    dataset: str, fusion: str, folder: str | os.PathLike[str] = FOLDER
) -> tuple[str, list[str]]:
    """What stands behind a table: the number of trials, and a note where methods did not meet the
    same learning rates (searches from before `tune.trials` gave them the same ones).

    Returns:
        ("9 trials for each method", []), or with a note; of the preset's values where nothing was
        tuned.
    """
    choices = tuned(dataset, fusion, folder)
    if not choices:
        return "no trials: the preset's values", []
    counts = {len(c["trials"]) for c in choices.values()}
    number = " to ".join(str(c) for c in sorted({min(counts), max(counts)}))
    largest = {k: max(t["lr"] for t in c["trials"]) for k, c in choices.items()}
    top, least = max(largest.values()), min(largest.values())
    if top == least:
        return f"{number} trials for each method", []
    names = display_names(sorted(choices))
    favoured = ", ".join(names[k] for k in sorted(choices) if largest[k] == top)
    note = (
        f"An older search: {favoured} met learning rates up to {top:g}, the other methods up to "
        f"{least:g}. That favours the former."
    )
    return f"{number} trials for each method", [note]


def uneven(keys: Iterable[tuple[str, str]]) -> list[str]:
    """Those of some (data set, fusion) whose search did not offer all methods the same rates."""
    return [comparison_name(*key) for key in keys if search_told(*key)[1]]


def searches(frame: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """{panel: trials} of the methods shown, late fusion first, and their names."""
    own = frame[frame["label"].isin(SHOWN)]
    found = {title: own[own["fusion"] == f] for f, title in WORDS.items()}
    return {k: v for k, v in found.items() if len(v)}, display_names(own["label"].unique())


def _drawn(frame: pd.DataFrame) -> Figure:
    return search_curves(*searches(frame))


ITEM = PaperItem(
    "search_avmnist",
    "What the search decides",
    "Validation accuracy on AV-MNIST against the learning rate, at the best of the tried values of "
    "the method's own option (preset teach, 8,000 training pairs, one seed). Dotted: the preset's "
    "learning rate. Large: each method's choice.",
    "",
    "search",
    lambda frame: frame[frame["dataset"] == "avmnist"],
    _drawn,
    lambda frame: search_alt(*searches(frame)),
)
