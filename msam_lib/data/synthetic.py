"""`synthetic`: M modalities of a known distribution, so that the true dominance is known, too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import AtLeastZero, Choice, Count, Range, Share
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._latent import latent_split, latent_task
from msam_lib.data.containers import DataSplits, Modality, MultimodalDataset, choose_modalities
from msam_lib.errors import MsamError, unknown_name

TASKS = ("classification", "multilabel", "regression")


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    n_modalities: Count = 2,
    snr: AtLeastZero | Sequence[AtLeastZero] = (2.0, 1.0),
    redundancy: Share = 1.0,
    synergy: Share = 0.0,
    n_classes: Annotated[int, Range(2)] = 4,
    dim: Count = 16,
    n_train: Count = 2000,
    n_val: Count = 500,
    n_test: Count = 1000,
    task: Annotated[str, Choice(TASKS)] = "classification",
) -> DataSplits:
    """Gaussian vectors x_m = snr_m * s_m + noise, noise ~ N(0, I), with s_m a unit vector or zero.

    Each modality has 2C orthonormal prototypes: mu_(m,c) for the classes and nu_(m,c) for codes.
    The class y is uniform, and each sample is of one of three kinds:

    * *redundant*, probability (1 - synergy) * redundancy: every modality shows the class, s_m =
      mu_(m,y);
    * *unique*, probability (1 - synergy) * (1 - redundancy): one modality, drawn uniformly, shows
      it, and the others show nothing, s_m = 0;
    * *synergistic*, probability synergy: the modalities show codes, s_m = nu_(m,a_m), each a_m
      uniform on its own, but y = (a_1 + ... + a_M) mod C. No proper subset of them says anything
      (XOR for C = M = 2).

    With redundancy 1 and synergy 0 the best classifier takes the class with the largest
    sum_m snr_m <x_m, mu_(m,c)>. For two classes its accuracy is Phi(sqrt(sum_m snr_m^2 / 2)), Phi
    the normal distribution function, and that of modality m alone is Phi(snr_m / sqrt 2).

    With `task="regression"` and `"multilabel"` every modality sees latent factors s_l ~ N(0, 1)
    through noise, x_m = snr_m * sum_l s_l mu_(m,l) + noise. A regression's target is its only
    factor; the best answer's mean absolute error is sqrt(2 / (pi (1 + sum_m snr_m^2))). Label l of
    `n_classes` is on where s_l exceeds a threshold, so that the labels' shares fall from 40 % to
    3 %, as MIMIC's phenotypes do.

    Args:
        seed: of prototypes and samples.
        modalities: from "x1", "x2", ..., all by default.
        n_modalities: M, at least 1.
        snr: signal-to-noise ratio of each modality; one number for all of them, or one each (a
            shorter list is repeated).
        redundancy, synergy: see above, in [0, 1]; of a classification only.
        n_classes: C, at least 2; the number of labels of `task="multilabel"`.
        dim: length of each vector, at least 2C.
        n_train, n_val, n_test: number of samples.
        task: `"classification"`, `"multilabel"` or `"regression"`.

    Raises:
        MsamError: a value that is not allowed.
    """
    check_arguments(load, locals())
    given = [float(snr)] if isinstance(snr, int | float) else [float(s) for s in snr]
    if not given:
        raise MsamError(f"snr={snr}; give one signal-to-noise ratio or more, for example (2, 1).")
    # A shorter list of ratios is repeated.
    ratios = [given[i % len(given)] for i in range(n_modalities)]
    everything = [f"x{i + 1}" for i in range(n_modalities)]
    names = choose_modalities(modalities, everything)
    generator = torch.Generator().manual_seed(seed)
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    if task != "classification" and (redundancy, synergy) != (1.0, 0.0):
        raise MsamError(
            f"redundancy={redundancy}, synergy={synergy} have a meaning for "
            f"task='classification' only; the task is {task!r}. Leave them out."
        )
    rows = {"classification": 2 * n_classes, "multilabel": n_classes, "regression": 1}[task]
    if dim < rows:
        needed = "2 * n_classes" if task == "classification" else "n_classes"
        raise MsamError(f"dim={dim}; at least {needed} = {rows} are needed.")
    prototypes = [_orthonormal(rows, dim, generator) for _ in everything]
    places = [(m, everything.index(m)) for m in names]

    # All modalities are drawn, whichever are kept, so that samples do not depend on the choice.
    def draw(n: int) -> MultimodalDataset:
        if task != "classification":
            return latent_split(n, prototypes, ratios, task, generator, places)
        x, y = _samples(n, prototypes, ratios, redundancy, synergy, n_classes, generator)
        kept = {m: x[i] for i, m in enumerate(everything) if m in names}
        return MultimodalDataset({m: kept[m] for m in names}, y)

    train, val, test = draw(n_train), draw(n_val), draw(n_test)
    recipe = {"seed": seed, "snr": ratios, "redundancy": redundancy, "synergy": synergy}
    return DataSplits(
        name="synthetic",
        train=train,
        val=val,
        test=test,
        modalities={m: Modality("vector", (dim,)) for m in names},
        classes=_names_of_outputs(task, n_classes),
        provenance=(
            f"Made up: {n_modalities} Gaussian modalities, signal-to-noise ratios {ratios}, "
            f"redundancy {redundancy}, synergy {synergy}."
        ),
        recipe=recipe
        | {"n_classes": n_classes, "dim": dim, "sizes": (n_train, n_val, n_test)}
        | ({} if task == "classification" else {"task": task}),
        other_task=None if task == "classification" else latent_task(task, n_classes),
    )


def _names_of_outputs(task: str, n: int) -> tuple[str, ...]:
    """Names of the classes or labels; none in a regression."""
    word = {"classification": "class", "multilabel": "label"}.get(task)
    return tuple(f"{word} {c}" for c in range(n)) if word else ()


def bayes_accuracy(snr: Sequence[float]) -> float:
    """Accuracy of the best classifier that sees these modalities: two classes, redundancy 1,
    synergy 0.

    >>> round(bayes_accuracy([2.0]), 4), round(bayes_accuracy([2.0, 1.0]), 4)
    (0.9214, 0.9431)
    """
    distance = math.sqrt(sum(s**2 for s in snr) / 2)
    return 0.5 * (1 + math.erf(distance / math.sqrt(2)))


def _orthonormal(rows: int, dim: int, generator: torch.Generator) -> Tensor:
    """A random matrix (rows, dim) with orthonormal rows, uniformly distributed."""
    q, r = torch.linalg.qr(torch.randn(dim, rows, generator=generator, dtype=torch.float64))
    return (q * r.diagonal().sign()).T.float()


def _samples(
    n: int,
    prototypes: Sequence[Tensor],
    snr: Sequence[float],
    redundancy: float,
    synergy: float,
    classes: int,
    generator: torch.Generator,
) -> tuple[list[Tensor], Tensor]:
    """n samples: vectors (n, dim) of every modality, and classes (n,); see `load`."""
    m, dim = len(prototypes), prototypes[0].shape[1]
    # Class and kind of every sample; in unique samples one modality shows the class.
    y = torch.randint(classes, (n,), generator=generator)
    combined = torch.rand(n, generator=generator) < synergy
    shared = torch.rand(n, generator=generator) < redundancy
    only = torch.randint(m, (n,), generator=generator)
    codes = torch.randint(classes, (m, n), generator=generator)
    y = torch.where(combined, codes.sum(0) % classes, y)
    out = []
    for i, (table, ratio) in enumerate(zip(prototypes, snr, strict=True)):
        shown = (shared | (only == i))[:, None] * table[y]
        # Codes in synergistic samples; else the class, where this modality shows it.
        signal = torch.where(combined[:, None], table[classes + codes[i]], shown)
        out.append(ratio * signal + torch.randn(n, dim, generator=generator))
    return out, y
