"""`urfunny`: UR-FUNNY, punchlines of TED talks, funny or not, by picture, voice and words.

Read from either published form, prepared once by `python -m msam_lib prepare urfunny --source
FOLDER`, which finds out what the folder holds:

* `"multibench"`: `humor.pkl` of MultiBench, which the published comparisons use: {train, valid,
  test: {vision (N, T, 371), audio (N, T, 81), text (N, T, 300), labels, id}}, aligned by word and
  padded with zeros at the front.
* `"official"`: the six pickles of UR-FUNNY V2 (github.com/ROC-HCI/UR-FUNNY): `data_folds.pkl`,
  `language_sdk.pkl`, `openface_features_sdk.pkl`, `covarep_features_sdk.pkl`,
  `humor_label_sdk.pkl`, `word_embedding_list.pkl`. By id, lists of features of each word of the
  punchline, (n, 371) and (n, 81), and of the sentences before it; words are places in a list of
  GloVe vectors. `context=K` puts the K sentences before a punchline before it in time, so that a
  modality stays one sequence and any encoder reads it; 0, the punchline alone, is what humor.pkl
  has.

A restricted reader (`msam_lib.data.pickles`) runs nothing of these files. It reads one after the
other, each whole: arrays take the memory of the file, lists of numbers about four times that.

Preprocessing as in the code of AGM, for both forms: samples without words are dropped and counted,
-inf in the audio becomes 0, leading steps without a word are cut, and the rest is padded at the
end, here to T steps, which the Transformer leaves out: those of humor.pkl, or the most words of a
sample. The class is 1 (funny) where MultiBench's label is at least 1, so labels of 0/1 and of -1/+1
are read alike. The parts are the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Choice, Range
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._parts import leading, named_parts, need_classes, sequence, stored_parts
from msam_lib.data._urfunny_official import read_official
from msam_lib.data._urfunny_source import MULTIBENCH, SIZES, find_layout, read_multibench
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetMissing, MsamError

CLASSES = ("not funny", "funny")
LAYOUTS = ("multibench", "official")
SOURCES = {
    "multibench": "features as published with MultiBench",
    "official": "features of the authors' version 2",
}
VERSION = 1  # of the recipe: raised when the same options would give other arrays


def prepare(
    source: Path,
    cache: Path | None = None,
    *,
    jobs: int = 1,
    sha256: str = "",
    context: int = 0,
) -> Prepared:
    """Convert the pickles once, to float16.

    Args:
        source: the folder of `humor.pkl`, or of the six official pickles; or, for a folder that
            has both, `humor.pkl` or one of the six.
        cache: see `msam_lib.data.prepared`.
        jobs: threads.
        sha256: expected digest of `humor.pkl`; "" accepts any, for nothing in it is run.
        context: sentences of the context before a punchline, the nearest ones; official form only.

    Raises:
        MsamError: a value that is not allowed, or that this form does not have.
        DatasetMissing, DatasetCorrupt: what is missing or damaged, by file and id.
    """
    layout, path = find_layout(source)
    recipe = _recipe(layout, context)
    if layout == "official":
        if sha256:
            raise MsamError(f"sha256 is the digest of {MULTIBENCH}; {path} holds six files.")
        samples = read_official(path, context)
    else:
        samples = read_multibench(path, sha256)

    def read(row: Row) -> Mapping[str, np.ndarray]:
        found = samples.features(row)
        first = leading(found["text"])
        return {m: sequence(found[m][first:], samples.steps) for m in SIZES}

    arrays = {m: ((samples.steps, size), "<f2") for m, size in SIZES.items()}
    plan = Plan("urfunny", recipe, samples.rows, arrays, read, samples.notes)
    return write_prepared(plan, cache, jobs=jobs)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    layout: Annotated[str, Choice((*LAYOUTS, "auto"))] = "auto",
    context: Annotated[int, Range(0)] = 0,
) -> DataSplits:
    """UR-FUNNY as prepared: sequences visual (T, 371), audio (T, 81), text (T, 300); two classes.

    Args:
        seed: without effect; the parts are the published ones.
        modalities: from "visual", "audio" and "text", all by default.
        layout: the published form, `"multibench"` or `"official"`; `"auto"` takes the one that is
            prepared, the first where both are.
        context: as prepared.

    Raises:
        MsamError: an unknown modality, or a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, or a part lacks a class.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, list(SIZES))
    layout, done = _opened(layout, context)
    recipe = _recipe(layout, context)
    labels = [int(s["label"]) for s in done.samples]
    where = named_parts(done.samples)
    need_classes("UR-FUNNY", CLASSES, labels, where)
    parts = stored_parts(done, names, torch.tensor(labels), where)
    return DataSplits(
        name="urfunny",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality("sequence", parts["train"].inputs[m].shape[1:]) for m in names},
        classes=CLASSES,
        provenance=" ".join(
            [
                "UR-FUNNY (real; Hasan et al., EMNLP-IJCNLP 2019; TED talks, for research), "
                f"{SOURCES[layout]}: {len(labels)} samples with words.",
                *done.notes,
            ]
        ),
        recipe=recipe | {"modalities": names},
    )


def _recipe(layout: str, context: int) -> dict[str, Any]:
    """The options that determine the prepared arrays."""
    if context < 0:
        raise MsamError(f"context={context}; it is a number of sentences, 0 or more.")
    if layout == "official":
        return {"version": VERSION, "layout": layout, "context": context}
    if context:
        raise MsamError(
            f"context={context}, but {MULTIBENCH} has punchlines alone. Take the six official "
            "pickles (github.com/ROC-HCI/UR-FUNNY), or context=0."
        )
    return {"version": VERSION}


def _opened(layout: str, context: int) -> tuple[str, Prepared]:
    """The form and its prepared folder; of `"auto"`, the first that is there."""
    every = LAYOUTS[1:] if context else LAYOUTS
    problems = []
    for name in every if layout == "auto" else (layout,):
        try:
            done = open_prepared("urfunny", _recipe(name, context), prepare, context=context)
            return name, done
        except DatasetMissing as problem:
            problems.append(problem)
    raise problems[0]
