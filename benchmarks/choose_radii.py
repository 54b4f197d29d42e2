"""Chooses the radii of the presets: `python benchmarks/choose_radii.py digits --fusion late`.

Every method gets the same number of candidates, the same seeds (not those of the tables) and the
validation split; the test split is never used. Prints the mean validation accuracy of each
candidate and the best.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.measurements import collect
from msam_lib.experiments.runner import run_all
from msam_lib.experiments.suite import READINGS
from msam_lib.results.frame import reported_epoch

CANDIDATES = {"asam": (0.25, 0.5, 1.0, 2.0)}
DEFAULT = (0.05, 0.1, 0.2, 0.4)


def main() -> None:
    """Train every candidate and print the choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--fusion", default="late")
    parser.add_argument("--seeds", nargs="+", type=int, default=[100, 101, 102])
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--store", type=Path, default=Path("runs/radii"))
    args = parser.parse_args()
    cases = [("sam", {}), ("asam", {}), *(("msam", dict(reading)) for reading in READINGS)]
    for method, options in cases:
        scores = {}
        for rho in CANDIDATES.get(method, DEFAULT):
            experiments = [
                Experiment.preset(
                    "teach",
                    dataset=args.dataset,
                    fusion=args.fusion,
                    method=method,
                    method_options=options | {"rho": rho},
                    seed=seed,
                )
                for seed in args.seeds
            ]
            ends = reported_epoch(collect(run_all(experiments, args.store, jobs=args.jobs)))
            fused = ends[(ends.modality == "fused") & (ends.metric == "accuracy")]
            scores[rho] = float(fused[fused.split == "val"].value.mean())
        best = max(scores, key=lambda rho: (scores[rho], -rho))  # the smallest of equals
        shown = "  ".join(f"{rho}: {100 * s:.2f}" for rho, s in scores.items())
        name = f"{method} {' '.join(f'{k}={v}' for k, v in options.items())}"
        print(f"{name:32} {shown}  -> {best}")


if __name__ == "__main__":
    main()
