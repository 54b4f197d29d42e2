"""Who contributed? Exact Shapley contributions of the modalities to the accuracy, or another value.

`shapley` is the game, which knows of no model; `measure` plays it with one.
"""

from msam_lib.contributions.measure import (
    VALUES,
    Contributions,
    coalition_logits,
    coalition_values,
    dominant_modality,
    leader,
    normalise,
    shapley_contributions,
    value_function,
)
from msam_lib.contributions.shapley import coalition_masks, sampled_shapley, shapley_from_values

__all__ = [
    "VALUES",
    "Contributions",
    "coalition_logits",
    "coalition_masks",
    "coalition_values",
    "dominant_modality",
    "leader",
    "normalise",
    "sampled_shapley",
    "shapley_contributions",
    "shapley_from_values",
    "value_function",
]
