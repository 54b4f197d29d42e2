r"""Who contributed? Exact Shapley values of the modalities, from the features of one forward pass.

For $M$ modalities and a value $\Phi(S)$ of the model with only the modalities in $S$ present,

$$\phi_m = \sum_{S \not\ni m} \frac{\lvert S \rvert!\, (M - \lvert S \rvert - 1)!}{M!}
[\Phi(S \cup \{m\}) - \Phi(S)]$$

(Shapley 1953; M-SAM, arXiv 2510.24919, section 3). They are efficient:
$\sum_m \phi_m = \Phi(\text{all}) - \Phi(\text{none})$. The weight of a modality is
$v_m = \phi_m / \sum \phi$, the dominant modality is the one with the largest $v_m$.

>>> from msam_lib.contributions.shapley import shapley_from_values
>>> values = torch.tensor([0.1, 0.5, 0.3, 0.9])  # Phi of {}, {1}, {2}, {1, 2}
>>> shapley_from_values(values)
tensor([0.5000, 0.3000])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from msam_lib._utils import boards
from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Choice, Count
from msam_lib._utils.precision import full
from msam_lib._utils.settings import Seed
from msam_lib._utils.world import world
from msam_lib.contributions.coalitions import coalition_logits
from msam_lib.contributions.shapley import (
    coalition_masks,
    double,
    sampled_shapley,
)
from msam_lib.contributions.shares import HOWS, accuracy_shares, leader, normalise, value_shares
from msam_lib.contributions.values import (
    VALUES,
    ValueFunction,
    correct_counts,
    counted,
    value_function,
)
from msam_lib.data.containers import Batch
from msam_lib.models.base import Model
from msam_lib.models.checks import (
    check_batch,
    check_model,
    check_outputs,
    check_values,
    explained,
)
from msam_lib.tasks import CLASSIFICATION, Task

EXACT_LIMIT = 10


@dataclass
class Contributions:
    """Contributions of the modalities to a value.

    Args:
        modalities: names, in order.
        phi: (M,) Shapley values; they sum to Phi(all) - Phi(none).
        weights: (M,) non-negative shares that sum to 1, from `normalise`.
        full, empty: Phi of all modalities and of none.
        standard_error: (M,) of `phi`; zero where it is exact.
    """

    modalities: tuple[str, ...]
    phi: Tensor
    weights: Tensor
    full: Tensor
    empty: Tensor
    standard_error: Tensor

    @property
    def dominant(self) -> str:
        """Name of the dominant modality."""
        return leader(self.modalities, self.weights, self.phi)

    def as_dict(self) -> dict[str, float]:
        """{modality: share}."""
        return dict(zip(self.modalities, self.weights.tolist(), strict=True))

    def _repr_html_(self) -> str:
        """Bars of the shares, for a notebook."""
        texts = {
            m: f"{100 * share:.1f} % (phi {phi:+.3f}{f' ± {error:.3f}' if error else ''})"
            for m, share, phi, error in zip(
                self.modalities,
                self.weights.tolist(),
                self.phi.tolist(),
                self.standard_error.tolist(),
                strict=True,
            )
        }
        caption = (
            f"Contributions to a value of {float(self.full):.3f} with all modalities and "
            f"{float(self.empty):.3f} with none"
        )
        return boards.bars(caption, self.as_dict(), texts)


def coalition_values(
    model: Model,
    inputs: Mapping[str, Tensor],
    targets: Tensor,
    *,
    value: str | ValueFunction = "task",
    task: Task = CLASSIFICATION,
    features: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Phi (2^M,) of every coalition, ordered as `coalition_masks`: row 0 none, the last row all
    present.
    """
    logits = coalition_logits(model, inputs, coalition_masks(len(model.modalities)), features)
    return value_function(value, task)(full(logits), targets)


def phi_and_shares(
    logits: Tensor,
    targets: Tensor,
    *,
    value: str | ValueFunction = "task",
    task: Task = CLASSIFICATION,
    contribution: str = "clip",
) -> tuple[Tensor, Tensor]:
    """Shapley values (M,) and shares (M,) from the logits (2^M, N, C) of every coalition; an
    accuracy's are exact.
    """
    played = _played(logits, targets, value, task)
    if counted(value, task):
        return accuracy_shares(played, world.count(len(targets)), contribution)
    return value_shares(played, contribution)


def _played(logits: Tensor, targets: Tensor, value: str | ValueFunction, task: Task) -> Tensor:
    """Phi (K,) from the logits (K, N, C), of all ranks' samples; right answers are counted, and
    divided by their number last, for whole numbers have no rounding.
    """
    if counted(value, task):
        return world.sum(correct_counts(logits, targets))
    return world.mean(double(value_function(value, task)(full(logits), targets)))


def shapley_contributions(
    model: Model,
    inputs: Mapping[str, Tensor],
    targets: Tensor,
    *,
    value: Annotated[str, Choice(VALUES)] | ValueFunction = "task",
    task: Task = CLASSIFICATION,
    contribution: Annotated[str, Choice(HOWS)] = "clip",
    features: Mapping[str, Tensor] | None = None,
    permutations: Count = 64,
    seed: Seed = 0,
) -> Contributions:
    """Contributions of the modalities to the value on one batch.

    Args:
        model: a `MultimodalModel`, or any module through `wrap`.
        inputs: {m: (N, ...)}.
        targets: as the task has them: (N,) class indices, (N, L) labels, (N,) numbers.
        value: `"task"` (accuracy, the paper's, in a classification), `"log_likelihood"`,
            `"confidence"`, or a callable; see `value_function`.
        task: what is being learnt.
        contribution: how values become shares; see `normalise`.
        features: features that need not be encoded again, taken as they are; see
            `coalition_logits`.
        permutations: beyond 10 modalities the sum over 2^M coalitions is sampled over so many
            random orders and their reverses (antithetic pairs; Mitchell et al., JMLR 2022), with a
            standard error.
        seed: of those orders.

    Raises:
        MsamError: inputs and targets do not belong together or do not fit the model, or a value
            that is not allowed.
    """
    given = {"value": value, "contribution": contribution, "permutations": permutations}
    given |= {"seed": seed}
    check_arguments(shapley_contributions, given)
    check_model(model)
    batch = Batch(dict(inputs), targets)
    check_batch(model, batch, task)
    check_values(model, batch, task)
    m = len(model.modalities)
    size = world.count(len(targets)) if counted(value, task) else 1

    def play(masks: Tensor) -> Tensor:
        logits = coalition_logits(model, inputs, masks, features)
        return double(_played(logits, targets, value, task))

    if m <= EXACT_LIMIT:
        with explained(model, batch, task):
            logits = coalition_logits(model, inputs, coalition_masks(m), features)
        check_outputs(targets, logits.shape[-1], task)
        phi, weights = phi_and_shares(
            logits, targets, value=value, task=task, contribution=contribution
        )
        # the first coalition is nobody, the last everybody
        empty, whole = double(_played(logits[[0, -1]], targets, value, task))
        error = torch.zeros_like(phi)
        return Contributions(
            tuple(model.modalities), phi, weights, whole / size, empty / size, error
        )
    found = sampled_shapley(play, m, permutations=permutations, seed=seed)
    phi, error, empty, whole = (x / size for x in found)
    weights = normalise(phi, contribution, empty=empty)
    return Contributions(tuple(model.modalities), phi, weights, whole, empty, error)
