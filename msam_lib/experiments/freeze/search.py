"""Freezing the trials of every search."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd

from msam_lib.experiments.cases import setting_experiment
from msam_lib.experiments.choices import FOLDER
from msam_lib.experiments.judging import judged_by
from msam_lib.labels import parse
from msam_lib.results.frame import COLUMNS
from msam_lib.results.frozen import sha256, write_frame


def freeze_search(
    out: str | os.PathLike[str] = "figures/data", folder: str | os.PathLike[str] = FOLDER
) -> Path:
    """Write every trial of every search to `search.csv.gz`, and return its path.

    A row per trial, seed and split (`val`, by which trials were chosen; `test`, at the same epoch,
    where the search kept it). Columns are those of all frozen results, and lr, preset_lr (the
    preset's), option (the value of the method's main option; "" for methods without one), round and
    chosen (1 for the trial that was, else 0).

    Args:
        out: folder of the frozen results.
        folder: where `tune` keeps the choices.
    """
    rows, sources, commits, seconds = [], {}, set(), {}
    # A file per data set and fusion, in it a choice per method, in that its trials.
    for path in sorted(Path(folder).glob("*.json")):
        dataset, _, fusion = path.stem.rpartition("-")
        sources[path.name] = sha256(path.read_bytes())
        record = json.loads(path.read_text())
        # Process seconds of all its trials; searches before this was kept have none.
        seconds[path.stem] = sum(choice.get("seconds", 0) for choice in record.values())
        for label, choice in record.items():
            commits.add(choice["commit"])
            method, fixed = parse(label)
            usual = setting_experiment(dataset, fusion, preset=choice["preset"]).lr
            same = {"dataset": dataset, "fusion": fusion, "method": method, "label": label}
            same |= {"preset": choice["preset"], "epoch": 0, "step": 0, "modality": "fused"}
            metric = judged_by(choice)
            same |= {"metric": metric, "preset_lr": usual}
            for k, trial in enumerate(choice["trials"]):
                main = [str(v) for n, v in trial["method_options"].items() if n not in fixed]
                same |= {"run": f"{path.stem}-{label}-{k}", "option": ",".join(main)}
                same |= {"lr": round(trial["lr"], 6), "round": trial.get("round", "coarse")}
                wanted = choice.get("lr"), choice.get("method_options")
                same |= {"chosen": int((trial["lr"], trial["method_options"]) == wanted)}
                # Searches with one seed kept its validation accuracy alone.
                values = {"val": trial.get("val", [trial[f"val_{metric}"]])}
                values["test"] = trial.get("test", [])
                rows += [
                    same | {"split": split, "seed": seed, "value": value}
                    for split, several in values.items()
                    for seed, value in zip(choice["seeds"], several, strict=False)
                ]
    frame = pd.DataFrame(rows)[[*COLUMNS, "lr", "preset_lr", "option", "round", "chosen"]]
    known = {name: s for name, s in seconds.items() if s}
    whole = {"made from": sources, "commit": sorted(commits), "seconds": known}
    return write_frame(Path(out) / "search.csv.gz", frame, whole, float_format=None)
