"""What the pages on data sets cannot read from the catalogue: sizes, caveats, stored pictures.

    python -m tools.dataset_facts     measure sizes again, and draw the stored pictures

needs the files of the downloaded data sets in `$MSAM_DATA`. Sizes are kept in `dataset_facts.json`
beside this file, so that the site is the same wherever it is built; `tests/test_dataset_pages.py`
compares them with what is loaded.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from msam_lib.catalogue import DATASETS
from msam_lib.data import load_dataset
from msam_lib.data._download import Source
from msam_lib.data.avmnist_mini import original
from msam_lib.plots import theme
from msam_lib.plots.samples import degraded_grid, sample_grid

ROOT = Path(__file__).resolve().parent.parent
FILE = Path(__file__).with_suffix(".json")
EMBEDDED = ("digits", "avmnist_mini", "synthetic")  # loaded, and drawn, wherever the site is built
DOWNLOADED = ("avmnist", "signs", "mosi", "mfeat", "isl")
OWN = ("table", "folder")
STORED = ("avmnist", "signs", "mfeat")  # pictures of these are kept: their licences allow it
GROUPS = {
    "Embedded or made up": EMBEDDED,
    "Downloaded": DOWNLOADED,
    "Prepared from their owner's files": tuple(n for n, row in DATASETS.items() if row.prepare),
    "Your own": OWN,
}
SHOWN = [8, 15, 37, 7, 100, 11]  # of the test split of avmnist_mini, as in notebook 00

CAVEATS: dict[str, list[str]] = {
    "digits": [
        "The speech is synthesised and the misspelled words are made by a script; only the images "
        "are real.",
        "How hard each modality is was chosen: other noise levels reverse the dominance.",
    ],
    "avmnist_mini": [
        "Small: 900 test samples, so one percentage point is nine of them.",
        "The same six speakers are in all splits; accuracies do not say how new voices would do.",
        "The noise of -12 dB is a calibration to the accuracies of the paper's Table 1.",
    ],
    "avmnist": [
        "The noise of -12 dB is a calibration, and public recipes of AV-MNIST differ: numbers of "
        "other works cannot be compared.",
        "By default recordings are kept apart but speakers are not; `split=speaker` keeps these "
        "apart, too.",
        "Images and recordings are paired by class, not by a person who wrote and spoke.",
    ],
    "signs": [
        "Hand signs are reduced to 8 principal components on purpose, or they would be too easy.",
        "Two people are on both sides of a border between splits, with one photograph each.",
    ],
    "mosi": [
        "Text and visual features were trained on the labels of all training utterances, so "
        "validation uses a part of the official test part; accuracies are not those of the "
        "official 752 utterances.",
        "Always predicting “positive” reaches 60 % on the test split, more than audio or visual "
        "features alone.",
        "497 test samples: intervals over seeds do not contain the luck of this draw.",
    ],
    "mfeat": [
        "Six views of the same images: no senses of their own, and much redundancy.",
        "There is no official split; this one is drawn with the seed.",
    ],
    "isl": [
        "One person, three days, and a split that ignores the days: accuracies hold within a "
        "session, and are far lower on another day.",
        "260 test samples for 26 classes.",
    ],
    "synthetic": [
        "Made up: it shows what a method does where the answer is known, not what it would do on "
        "real data.",
    ],
    "cremad": [
        "In the published split all actors are in training and test; `split=actor` keeps speakers "
        "apart.",
        "Much published code selects its epoch on the test clips; here validation clips come from "
        "the training part, so expect results some points lower.",
    ],
    "urfunny": ["Features, not media; samples without words are dropped and counted."],
    "mosi_regression": [
        "The file is compared with its published digest; another one needs `file=other`.",
        "Preparing takes the memory of the whole pickle.",
    ],
    "mosei": ["Preparing takes the memory of the whole pickle."],
    "sims": ["Labels lie in [-1, 1], not in [-3, 3] as those of the other two corpora."],
    "mimic": [
        "Credentialed access; nothing about single patients may be handed on, which includes the "
        "prepared folder.",
        "Only stays with an X-ray are taken.",
    ],
    "ave": [
        "No licence is stated; the clips are from YouTube.",
        "The published lists share videos between parts; here each is kept once, unless "
        "`duplicates=True`.",
        "Two different tasks go by this name; compare only numbers of the same `unit`.",
    ],
    "iemocap": ["The files name the classes by numbers only.", "One fold at a time."],
    "food101": [
        "The titles nearly always contain the dish's name: text dominates as in few other sets.",
        "There is no published validation part; it is drawn from the training part.",
    ],
    "kinetics_sounds": [
        "There is no archive, and clips vanish from YouTube: say with every number how many "
        "clips it stands on.",
        "Which classes belong to it differs between papers.",
    ],
    "table": ["Columns by which the label was made would tell it; known ones are refused."],
    "folder": [
        "Images are cut and mirrored in training, unless `augment=False`.",
        "Drawn parts are apart by sample only, unless `group` names what belongs together.",
    ],
}


def facts() -> dict[str, dict[str, Any]]:
    """{data set: {modalities: {name: [kind, shape]}, classes, parts}} as measured once."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def measure(name: str) -> dict[str, Any]:
    """What one data set is when it is loaded with its default options."""
    data = load_dataset(name)
    return {
        "modalities": {m: [a.kind, list(a.shape)] for m, a in data.modalities.items()},
        "classes": len(data.classes),
        "parts": [len(data.train), len(data.val), len(data.test)],
    }


def files_of(name: str) -> list[Source]:
    """The files that a downloaded data set is made from."""
    module = import_module(DATASETS[name].target.partition(":")[0], "msam_lib")
    own = [vars(module)["SOURCE"]] if "SOURCE" in vars(module) else []
    if name in ("avmnist", "signs"):
        own += import_module("msam_lib.data._avmnist_sources").SOURCES.values()
    return own


def picture(name: str) -> tuple[Figure, str]:
    """(samples of a data set, the picture in words)."""
    theme()
    if name == "avmnist_mini":
        data = load_dataset(name)
        originals = [original(data, "test", k) for k in SHOWN]
        drawn = degraded_grid(originals, {m: x[SHOWN] for m, x in data.test.inputs.items()})
        return drawn, (
            "Six handwritten digits, 0 to 5, clear to read; below them the same images blurred, "
            "the waveforms of six voices, and the spectrograms of these voices in noise."
        )
    data = load_dataset(name, modalities=("visual", "audio", "text") if name == "digits" else None)
    _, first = np.unique(data.test.targets.numpy(), return_index=True)  # a sample of each class
    shown = replace(data, test=data.test.subset(first[:6]))
    words = ", ".join(data.classes[int(k)] for k in shown.test.targets)
    rows = ", ".join(f"{m} ({a.kind})" for m, a in data.modalities.items())
    return sample_grid(shown, n=len(shown.test), split="test"), (
        f"One test sample of each of the classes {words}. From top to bottom: {rows}."
    )


def main() -> None:
    """Measure and draw."""
    known = {name: measure(name) for name in (*EMBEDDED, *DOWNLOADED)}
    for name in STORED:
        drawn, known[name]["alt"] = picture(name)
        path = ROOT / "book" / "_static" / f"data_{name}.png"
        drawn.savefig(path, dpi=110)
        Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)  # a third as large
    FILE.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
