"""Quadratic forms zᵀHz of random vectors, from which every trace is estimated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import TOTAL
from msam_lib.diagnostics._vectors import random_vector
from msam_lib.diagnostics.curvature.hessian import HessianOperator
from msam_lib.errors import MsamError

ROUND = 10  # probes between two checks of the standard error
VECTOR_MEMORY = 2**26  # numbers held at a time in probe vectors


def quadratic_forms(
    operator: HessianOperator, vectors: Sequence[Tensor], masks: Mapping[str, Tensor]
) -> dict[str, np.ndarray]:
    """{block: z_mᵀ(Hz)_m for every z}, and `"total"`: numbers add up over batches, no vector is
    kept.
    """
    out = {b: np.zeros(len(vectors)) for b in [*masks, TOTAL]}
    for share, k, hz in operator.batch_products(vectors):
        # z_i (Hz)_i (p,): they cancel in part, so in double precision, which MPS lacks.
        terms = (vectors[k] * hz).double() if hz.device.type != "mps" else vectors[k] * hz
        out[TOTAL][k] += share * float(terms.sum())
        for b, mask in masks.items():
            out[b][k] += share * float(terms @ mask)  # z_mᵀ(Hz)_m
    return out


def random_forms(
    operator: HessianOperator,
    masks: Mapping[str, Tensor],
    *,
    probes: int,
    rtol: float | None,
    max_probes: int,
    seed: int,
    progress: bool,
) -> dict[str, np.ndarray]:
    """`quadratic_forms` of ±1 vectors, in rounds, until their number is reached (or, with `rtol`,
    the precision of the total).
    """
    if probes < 1:
        raise MsamError(f"probes={probes}; at least 1 is needed, and 2 for a standard error.")
    limit = probes if rtol is None else max(max_probes, probes)
    pieces: list[dict[str, np.ndarray]] = []
    done = 0
    with operator.held(), progress_bar(total=limit, show=progress, desc="trace") as bar:
        while done < limit:
            # First the probes asked for; then, with `rtol`, what is left up to the limit.
            wanted = probes - done if done < probes else limit - done
            # One batch keeps its graph anyway; several batches want many probes for each graph.
            count = ROUND if rtol is not None else (1 if len(operator.batches) == 1 else wanted)
            # No more vectors (p,) at a time than the memory allows.
            count = min(wanted, count, max(1, VECTOR_MEMORY // operator.layout.size))
            vectors = [
                random_vector(operator.layout.size, seed, done + i, like=operator.like)
                for i in range(count)
            ]
            pieces.append(quadratic_forms(operator, vectors, masks))
            done += count
            bar.update(count)
            # Standard error of the total's mean over the probes so far.
            forms = np.concatenate([p[TOTAL] for p in pieces])
            error = forms.std(ddof=1) / math.sqrt(done) if done > 1 else math.inf
            enough = done >= min(probes, limit)
            if rtol is not None and enough and error <= rtol * abs(forms.mean()):
                break
    return {b: np.concatenate([p[b] for p in pieces]) for b in pieces[0]}
