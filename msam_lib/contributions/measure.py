"""Who contributed? Exact Shapley values of the modalities, from the features of one forward pass.

For M modalities and a value Phi(S) of the model with only the modalities in S present,

    phi_m = sum over S not containing m of |S|! (M - |S| - 1)! / M! * [Phi(S + m) - Phi(S)]

(Shapley 1953; M-SAM, arXiv 2510.24919, section 3). They are efficient: sum_m phi_m = Phi(all) -
Phi(none). The weight of a modality is v_m = phi_m / sum phi, the dominant modality is the one with
the largest v_m.

>>> values = torch.tensor([0.1, 0.5, 0.3, 0.9])  # Phi of {}, {1}, {2}, {1, 2}
>>> shapley_from_values(values)
tensor([0.5000, 0.3000])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from msam_lib.contributions.shapley import coalition_masks, sampled_shapley, shapley_from_values
from msam_lib.errors import unknown_name
from msam_lib.models.base import Model
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import MultimodalModel

EXACT_LIMIT = 10
ValueFunction = Callable[[Tensor, Tensor], Tensor]


def accuracy_value(logits: Tensor, targets: Tensor) -> Tensor:
    """Batch accuracy (K,) of logits (K, N, C): the paper's Phi. Quantised to 1/N."""
    return (logits.argmax(-1) == targets).float().mean(-1)


def log_likelihood_value(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean log-likelihood in nats (K,) of logits (K, N, C): smooth, unbounded below."""
    return logits.log_softmax(-1).gather(-1, _column(targets, logits)).mean((-2, -1))


def confidence_value(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean probability of the true class (K,) of logits (K, N, C): smooth, in [0, 1]."""
    return logits.softmax(-1).gather(-1, _column(targets, logits)).mean((-2, -1))


def _column(targets: Tensor, logits: Tensor) -> Tensor:
    return targets.expand(len(logits), -1).unsqueeze(-1)


VALUES: dict[str, ValueFunction] = {
    "accuracy": accuracy_value,
    "log_likelihood": log_likelihood_value,
    "confidence": confidence_value,
}


def value_function(value: str | ValueFunction) -> ValueFunction:
    """The value function of that name, or the given callable (logits (K, N, C), targets (N,)) ->
    (K,).
    """
    if callable(value):
        return value
    if value not in VALUES:
        raise unknown_name("value", value, VALUES)
    return VALUES[value]


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


def normalise(
    phi: Tensor, how: str = "clip", *, empty: Tensor | float = 0.0, temperature: float = 0.1
) -> Tensor:
    """Shares v (M,) >= 0 that sum to 1, from Shapley values (M,).

    The sources divide by the sum and do not say what happens to a negative value, which batch
    accuracy produces now and then. The choices:

    * `"clip"`: negative values count as 0; all zero gives the uniform share.
    * `"agm"`: the empty coalition is dropped, as AGM (Li et al., ICCV 2023) does: phi_m + Phi(none)
      / M, then clip.
    * `"softmax"`: softmax(phi / temperature), never zero.
    """
    if how == "softmax":
        return torch.softmax(phi / temperature, dim=0)
    if how not in ("clip", "agm"):
        raise unknown_name("contribution", how, ["clip", "agm", "softmax"])
    phi = (phi + empty / len(phi) if how == "agm" else phi).clamp(min=0)
    total = phi.sum()
    uniform = torch.full_like(phi, 1 / len(phi))
    return torch.where(total > 0, phi / total.clamp(min=torch.finfo(phi.dtype).tiny), uniform)


@torch.no_grad()
def coalition_logits(
    model: Model,
    inputs: Mapping[str, Tensor],
    masks: Tensor,
    features: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Logits (K, N, C) of K coalitions, `masks` (K, M) True where a modality is present.

    A model that can be split encodes once (not at all when `features` of a forward pass are given)
    and sends the coalitions through the fusion only. Any other model gets the K masked copies of
    the batch stacked in one forward pass. Evaluation mode throughout: no batch-norm statistic
    moves, no dropout.
    """
    with evaluating(model):
        if isinstance(model, MultimodalModel):
            features = model.encode(inputs) if features is None else features
            masks = masks.to(next(iter(features.values())).device)
            return model.fusion.coalition_logits(features, model.absent_features(inputs), masks)
        n = len(next(iter(inputs.values())))
        stacked = {}
        for i, m in enumerate(model.modalities):
            x = inputs[m]
            keep = masks[:, i].to(x.device).view(-1, *[1] * x.dim())
            stacked[m] = torch.where(keep, x, model.replacement(m, x)).flatten(0, 1)
        return model(stacked).logits.view(len(masks), n, -1)


def coalition_values(
    model: Model,
    inputs: Mapping[str, Tensor],
    targets: Tensor,
    *,
    value: str | ValueFunction = "accuracy",
    features: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Phi (2^M,) of every coalition, ordered as `coalition_masks`: row 0 none, the last row all
    present.
    """
    logits = coalition_logits(model, inputs, coalition_masks(len(model.modalities)), features)
    return value_function(value)(logits.float(), targets)


def shapley_contributions(
    model: Model,
    inputs: Mapping[str, Tensor],
    targets: Tensor,
    *,
    value: str | ValueFunction = "accuracy",
    contribution: str = "clip",
    features: Mapping[str, Tensor] | None = None,
    permutations: int = 64,
    seed: int = 0,
) -> Contributions:
    """Contributions of the modalities to the value on one batch.

    Args:
        model: a `MultimodalModel`, or any module through `wrap`.
        inputs: {m: (N, ...)}.
        targets: (N,) class indices.
        value: `"accuracy"` (the paper), `"log_likelihood"`, `"confidence"`, or a callable.
        contribution: how values become shares; see `normalise`.
        features: features of a forward pass that has been made, to save the encoders' work.
        permutations: beyond 10 modalities the sum over 2^M coalitions is sampled over so many
            random orders and their reverses (antithetic pairs; Mitchell et al., JMLR 2022), with a
            standard error.
        seed: of those orders.
    """
    m = len(model.modalities)
    if m <= EXACT_LIMIT:
        values = coalition_values(model, inputs, targets, value=value, features=features)
        phi, error = shapley_from_values(values), torch.zeros(m)
        empty, full = values[0], values[-1]
    else:
        game = value_function(value)

        def play(masks: Tensor) -> Tensor:
            return game(coalition_logits(model, inputs, masks, features).float(), targets)

        phi, error, empty, full = sampled_shapley(play, m, permutations=permutations, seed=seed)
    weights = normalise(phi, contribution, empty=empty)
    return Contributions(tuple(model.modalities), phi, weights, full, empty, error)


def leader(modalities: Sequence[str], weights: Tensor, phi: Tensor, *, least: bool = False) -> str:
    """The modality with the largest share (or the least one).

    Batch accuracy is quantised, so equal shares are common. The order of the modalities must not
    decide: equals are separated by phi, which clipping may have hidden, and then by name.
    """
    sign = 1 if least else -1
    keys = zip((sign * weights).tolist(), (sign * phi).tolist(), modalities, strict=True)
    return min(keys)[-1]


def dominant_modality(weights: Mapping[str, float]) -> str:
    """The modality with the largest share; the alphabetically first of equals, whatever the order
    given.
    """
    return min(weights, key=lambda m: (-weights[m], m))
