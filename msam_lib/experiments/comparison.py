"""The comparison of all methods on a data set: its rows, and the experiments behind each row."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msam_lib.experiments.build import load_data
from msam_lib.experiments.cases import case_experiment, cases, setting_experiment
from msam_lib.experiments.choices import FOLDER, tuned
from msam_lib.experiments.experiment import Experiment
from msam_lib.labels import Case
from msam_lib.methods import build_method

SEEDS = tuple(range(10))  # of the final runs; none of them is a seed of the search
NOISES = (0.0, 0.2, 0.4, 0.6)
NOISY = (
    Case("joint", {}),
    Case("sam", {}),
    Case("ogm_ge", {}),
    Case("agm", {}),
    Case("mmpareto", {}),
    Case("masam", {}),
    Case("msam", {}),
    Case("msam", {"reading": "encoder"}),
)
WHOLE = Case("masam", {})
ABLATED = (Case("joint", {}), Case("sam", {}), WHOLE)
ABLATIONS: tuple[dict[str, Any], ...] = ({"aps": False}, {"mdps": False}, {"variant": "released"})


class PlannedRow(NamedTuple):
    """A row of a comparison before it is run.

    Args:
        label: its name in the frozen results; rows of several fusions may share one.
        experiments: one per seed.
        dataset: under which they are frozen; where empty, their own.
    """

    label: str
    experiments: Sequence[Experiment]
    dataset: str = ""


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
    """The experiment of a row, with learning rate and options as `tune` chose them, if it did.

    Args:
        case: the row.
        dataset, fusion: where it is compared; a data set or one with options.
        preset: size of the run.
        seed: of the run.
        folder: where `tune` keeps its choices.
        **changes: other fields of `Experiment`.
    """
    choice = tuned(dataset, fusion, folder).get(case.label, {})
    untuned = case_experiment(case, dataset, fusion, preset=preset, seed=seed, **changes)
    # Not tuned: the preset's values.
    if not choice:
        return untuned
    return untuned.replace(lr=choice["lr"], method_options=choice["method_options"])


def plan_rows(
    dataset: str,
    fusion: str,
    rows: Iterable[Case],
    *,
    seeds: Sequence[int] = SEEDS,
    **options: Any,
) -> list[PlannedRow]:
    """The plan of these rows, one experiment per seed; see `experiment` for the options."""
    return [
        PlannedRow(
            c.label, [experiment(c, dataset, fusion, seed=s, **options) for s in seeds], dataset
        )
        for c in rows
    ]


def fusion_cases(
    dataset: str,
    fusions: Sequence[str],
    wanted: Sequence[Case] | None = None,
    *,
    preset: str = "teach",
) -> dict[str, list[Case]]:
    """{fusion: the rows that apply on this data set, or those among them that are wanted}.

    Raises:
        MsamError: an unknown fusion or data set, or a wanted method that does not exist so.
    """
    for fusion in fusions:
        setting_experiment(dataset, fusion, preset=preset)  # raises for an unknown name
    for case in wanted or ():
        build_method(case.method, **case.options)
    # What can be trained depends on both fusion and data.
    modalities = len(load_data(setting_experiment(dataset, "late", preset=preset)).modalities)
    return {
        fusion: [c for c in cases(modalities, fusion) if wanted is None or c in wanted]
        for fusion in fusions
    }


def methods_plan(
    dataset: str,
    fusions: Sequence[str],
    wanted: Sequence[Case] | None = None,
    *,
    preset: str = "teach",
    **options: Any,
) -> list[PlannedRow]:
    """The plan of all methods that apply under each fusion, or those among them that are wanted;
    see `experiment` for the options.
    """
    rows = fusion_cases(dataset, fusions, wanted, preset=preset)
    return [
        row
        for fusion, several in rows.items()
        for row in plan_rows(dataset, fusion, several, preset=preset, **options)
    ]


def noise_plan(
    dataset: str = "digits", *, seeds: Sequence[int] = SEEDS, **options: Any
) -> list[PlannedRow]:
    """The plan of some methods under wrong training labels, as in MASAM's paper; rows are called
    `"label@share"`.
    """
    return [
        PlannedRow(
            f"{c.label}@{noise}",
            [experiment(c, dataset, "late", seed=s, label_noise=noise, **options) for s in seeds],
        )
        for c in NOISY
        for noise in NOISES
    ]


def ablation_plan(
    dataset: str = "digits", *, seeds: Sequence[int] = SEEDS, **options: Any
) -> list[PlannedRow]:
    """The plan of MASAM's ablation: whole, without each part, and as released, all with the values
    tuned for the whole method.
    """
    rows = plan_rows(dataset, "late", ABLATED, seeds=seeds, **options)
    # Tuned values of the whole method, so that only the part differs.
    whole = next(r for r in rows if r.label == WHOLE.label)
    return rows + [
        PlannedRow(Case("masam", changes).label, [_changed(e, changes) for e in whole.experiments])
        for changes in ABLATIONS
    ]


def _changed(experiment: Experiment, options: Mapping[str, Any]) -> Experiment:
    """The experiment with some options of its method changed."""
    return experiment.replace(method_options=experiment.method_options | dict(options))
