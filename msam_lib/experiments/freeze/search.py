"""Freezing the trials of every search."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd

from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.judging import judged_by
from msam_lib.experiments.search import FOLDER
from msam_lib.labels import parse
from msam_lib.results.frame import COLUMNS
from msam_lib.results.frozen import sha256, write_frame


def freeze_search(
    out: str | os.PathLike[str] = "figures/data", folder: str | os.PathLike[str] = FOLDER
) -> Path:
    """Write every trial of every search to `search.csv.gz`, and return its path.

    Columns are those of all frozen results, and lr, preset_lr (the preset's) and option (the value
    of the method's main option; "" for methods without one).

    Args:
        out: folder of the frozen results.
        folder: where `tune` keeps the choices.
    """
    rows, sources, commits = [], {}, set()
    # A file per data set and fusion, in it a choice per method, in that its trials.
    for path in sorted(Path(folder).glob("*.json")):
        dataset, _, fusion = path.stem.rpartition("-")
        sources[path.name] = sha256(path.read_bytes())
        for label, choice in json.loads(path.read_text()).items():
            commits.add(choice["commit"])
            method, fixed = parse(label)
            metric = judged_by(choice)
            usual = Experiment.preset(choice["preset"], dataset=dataset, fusion=fusion).lr
            for k, trial in enumerate(choice["trials"]):
                main = [str(v) for n, v in trial["method_options"].items() if n not in fixed]
                rows.append(
                    {"dataset": dataset, "fusion": fusion, "method": method}
                    | {"label": label, "seed": choice["seeds"][0], "preset": choice["preset"]}
                    | {"run": f"{path.stem}-{label}-{k}", "epoch": 0, "step": 0, "split": "val"}
                    | {"modality": "fused", "metric": metric, "value": trial[f"val_{metric}"]}
                    | {"lr": round(trial["lr"], 6), "preset_lr": usual, "option": ",".join(main)}
                )
    frame = pd.DataFrame(rows)[[*COLUMNS, "lr", "preset_lr", "option"]]
    record = {"made from": sources, "commit": sorted(commits)}
    return write_frame(Path(out) / "search.csv.gz", frame, record, float_format=None)
