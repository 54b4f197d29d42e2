"""`mosi_regression`, `mosei`, `sims`: the sentiment of opinions in films, as a number.

Read from the pickles that MMSA publishes (https://github.com/thuiar/MMSA; links to cloud drives
there): `aligned_50.pkl` or `unaligned_50.pkl` of CMU-MOSI and CMU-MOSEI, `unaligned_39.pkl` of
CH-SIMS, each {train, valid, test: {text (N, T, 768) by BERT, audio, vision, regression_labels,
...}}. Prepared once by `python -m msam_lib prepare mosi_regression --source FOLDER`. The file is
compared with its published sha256 and read by a restricted reader (`msam_lib.data.pickles`), whole,
so preparing takes the memory of the file. `file="other"` accepts another file with a warning, also
one in the layout of MulT and MultiBench, with `labels` (N, 1, 1).

Preprocessing as in the code of MMSA: what is not finite in the features (-inf in the audio) becomes
0, nothing is standardised. Leading steps without any value are cut (in an aligned file the same
ones of all modalities), and the rest is padded at the end; all-zero steps are left out by the
Transformers. Parts are the published ones.

The task is a regression by the absolute error, as in CGGM. Labels lie in [-3, 3], those of CH-SIMS
in [-1, 1]. CH-SIMS also has labels that people gave to each modality alone: they are kept in the
prepared `samples.csv`, and `DataSplits.people` has how often their sign is that of the label of all
together. For research use.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from msam_lib._utils.settings import Names, Seed
from msam_lib.data._download import sha256_of
from msam_lib.data._mmsa_source import ALONE, CORPORA, KEYS, checked, find_pickle, rows_of
from msam_lib.data._parts import leading, named_parts, need_samples, sequence, stored_parts
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.data.pickles import read_pickle
from msam_lib.data.prepared import Plan, Prepared, Row, open_prepared
from msam_lib.data.prepared import prepare as write_prepared
from msam_lib.errors import DatasetCorrupt, unknown_name
from msam_lib.tasks import Regression

FILES = ("published", "other")
VERSION = 1  # of the recipe: raised when the same options would give other arrays
SIGNS = {-1.0: "negative", 0.0: "neutral", 1.0: "positive"}


def prepare_corpus(
    name: str,
    source: Path,
    cache: Path | None = None,
    *,
    jobs: int = 1,
    variant: str | None = None,
    file: str = "published",
) -> Prepared:
    """Convert a pickle once, to float16.

    Args:
        name: one of `CORPORA`.
        source: the file, or a folder that holds it, directly or in `Processed`.
        cache: see `msam_lib.data.prepared`.
        jobs: threads.
        variant: which of the published files; by default the corpus's first in `CORPORA`.
        file: `"published"`, or `"other"` to accept one with another digest, with a warning.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: what is missing or damaged.
    """
    recipe = _recipe(name, variant, file)
    variant = recipe["variant"]
    path = find_pickle(source, f"{variant}.pkl")
    expected = CORPORA[name].digests[variant]
    if (digest := sha256_of(path)) != expected:
        text = (
            f"{path} has sha256 {digest[:16]}..., but the published {variant}.pkl of "
            f"{CORPORA[name].title} has {expected[:16]}...: it is truncated, or another version."
        )
        if file == "published":
            raise DatasetCorrupt(
                f"{text} Fetch it again, or accept it: --data-options file=other (nothing in it "
                "is run in any case)."
            )
        warnings.warn(f"{text} It is taken, as file='other' says.", stacklevel=3)
    parts = checked(read_pickle(path), path, CORPORA[name].limits)
    steps = {m: max(part[m].shape[1] for part in parts.values()) for m in KEYS}
    aligned = len(set(steps.values())) == 1
    rows = [row for p, part in parts.items() for row in rows_of(p, part)]

    def read(row: Row) -> Mapping[str, np.ndarray]:
        part, k = parts[row["part"]], int(row["row"])
        found = {m: part[m][k] for m in KEYS}
        first = {m: leading(x) for m, x in found.items()}
        start = min(first.values())
        return {
            m: sequence(x[(start if aligned else first[m]) :], steps[m]) for m, x in found.items()
        }

    sizes = {m: parts["train"][m].shape[2] for m in KEYS}
    arrays = {m: ((steps[m], sizes[m]), "<f2") for m in KEYS}
    return write_prepared(Plan(name, recipe, rows, arrays, read), cache, jobs=jobs)


def load_corpus(
    name: str,
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    variant: str | None = None,
    file: str = "published",
    loss: str = "l1",
) -> DataSplits:
    """A corpus as prepared: sequences text (T, 768), audio and visual; a number per sample.

    Args:
        name: one of `CORPORA`.
        seed: without effect; the parts are the published ones.
        modalities: from "text", "audio" and "visual", all by default.
        variant, file: as prepared.
        loss: see `msam_lib.tasks.Regression`.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing: not prepared; the message has the command.
        DatasetCorrupt: the prepared files are damaged, or a part is empty.
    """
    corpus = CORPORA[name]
    names = choose_modalities(modalities, list(KEYS))
    recipe = _recipe(name, variant, file)
    done = open_prepared(name, recipe, prepare_corpus, variant=variant, file=file)
    targets = torch.tensor([float(s["target"]) for s in done.samples])
    where = named_parts(done.samples)
    need_samples(corpus.title, where)
    parts = stored_parts(done, names, targets, where)
    y = parts["train"].targets.double()
    scale = float((y - y.median()).abs().mean())
    counts = ", ".join(f"{int((y.sign() == s).sum())} {w}" for s, w in SIGNS.items())
    checked = "verified by its digest" if file == "published" else "another than the published"
    return DataSplits(
        name=name,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality("sequence", parts["train"].inputs[m].shape[1:]) for m in names},
        classes=(),
        provenance=(
            f"{corpus.title} (real; {corpus.reference}; for research), features as published with "
            f"MMSA, file {recipe['variant']} ({checked}): {len(targets)} utterances, of the "
            f"training part {counts}."
        ),
        recipe=recipe | {"modalities": names, "loss": loss},
        other_task=Regression(loss, scale or 1.0, corpus.limits),
        people=people([done.samples[i] for i in where["test"]]),
    )


def people(samples: Sequence[Row]) -> dict[str, float]:
    """{modality: share in [0, 1] of the samples whose label from that modality alone has the sign
    of the label from all of them}; empty where there are no such labels.
    """
    sign = [np.sign(float(s["target"])) for s in samples]
    out = {}
    for m in ALONE:
        if samples and samples[0].get(f"label_{m}"):
            alone = [np.sign(float(s[f"label_{m}"])) for s in samples]
            out[m] = float(np.mean(np.equal(alone, sign)))
    return out


def _recipe(name: str, variant: str | None, file: str) -> dict[str, Any]:
    """The options that determine the prepared arrays."""
    digests = CORPORA[name].digests
    variant = next(iter(digests)) if variant is None else variant
    if variant not in digests:
        raise unknown_name("variant", variant, digests)
    if file not in FILES:
        raise unknown_name("file", file, FILES)
    return {"version": VERSION, "variant": variant, "file": file}


load_mosi, load_mosei, load_sims = (partial(load_corpus, name) for name in CORPORA)
prepare_mosi, prepare_mosei, prepare_sims = (partial(prepare_corpus, name) for name in CORPORA)
