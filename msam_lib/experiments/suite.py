"""The experiments behind the figures of one data set."""

from __future__ import annotations

from collections.abc import Sequence

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.experiments.experiment import Experiment
from msam_lib.labels import Case

SEEDS = (0, 1, 2)
READINGS: tuple[dict[str, str], ...] = (
    {},
    {"reading": "encoder"},
    {"reading": "unimodal_loss"},
    {"ascent": "momentum"},
)
PERTURBATION_RHO = 0.2  # of the strong-versus-weak figure: large enough for an effect to show


def table_experiments(
    fusion: str, preset: str = "teach", seeds: Sequence[int] = SEEDS, dataset: str = DEFAULT_DATASET
) -> list[Experiment]:
    """The experiments of the results table, one per row and seed; radii come from the preset."""
    cases = [Case("joint", {})]
    cases += [Case("unimodal", {})] if fusion in ("late", "concat") else []
    cases += [Case("sam", {}), Case("asam", {}), *(Case("msam", dict(r)) for r in READINGS)]
    return _each(cases, fusion, preset, seeds, dataset)


def _each(
    cases: Sequence[Case], fusion: str, preset: str, seeds: Sequence[int], dataset: str
) -> list[Experiment]:
    """One experiment per case and seed."""
    return [
        _traced(
            Experiment.preset(
                preset,
                dataset=dataset,
                fusion=fusion,
                method=c.method,
                method_options=c.options,
                seed=s,
            )
        )
        for c in cases
        for s in seeds
    ]


def _traced(experiment: Experiment) -> Experiment:
    """The experiment, with Hessian traces if a figure or a notebook shows them: on the default
    data set with late fusion, for joint, SAM and M-SAM in the readings literal and encoder.
    """
    shown = experiment.method_options.keys() <= {"rho", "reading"}
    shown &= experiment.method_options.get("reading", "literal") in ("literal", "encoder")
    # Traces cost time: a few epochs of the runs that are drawn.
    shown &= experiment.method in ("joint", "sam", "msam")
    if not shown or experiment.fusion != "late" or experiment.dataset != DEFAULT_DATASET:
        return experiment
    return experiment.replace(traces=max(1, experiment.epochs // 4))


def perturbation_experiments(
    preset: str = "teach", seeds: Sequence[int] = SEEDS, dataset: str = DEFAULT_DATASET
) -> list[Experiment]:
    """The experiments of the strong-versus-weak comparison: perturb no weights, all of them, only
    the dominant encoder's, or only the weakest's.
    """
    rho = PERTURBATION_RHO
    alone = {"reading": "encoder", "mixing": 1.0, "rho": rho}
    cases = [Case("joint", {}), Case("sam", {"rho": rho})]
    cases += [Case("msam", alone | {"target": t}) for t in ("dominant", "weakest")]
    return _each(cases, "late", preset, seeds, dataset)


def suite(
    preset: str = "teach", seeds: Sequence[int] = SEEDS, dataset: str = DEFAULT_DATASET
) -> list[Experiment]:
    """All experiments that the figures and tables of one data set are drawn from, each once."""
    experiments = [
        *table_experiments("late", preset, seeds, dataset),
        *table_experiments("maxout", preset, seeds, dataset),
        *perturbation_experiments(preset, seeds, dataset),
    ]
    # Tables and figures share runs; equal experiments have equal names.
    return list({e.name: e for e in experiments}.values())
