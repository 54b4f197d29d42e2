"""Who contributed? Exact Shapley contributions of the modalities to the accuracy, or other values.

`shapley` is the game, which knows of no model; `coalitions` has a model play it, `values` says how
well it did, `shares` turns Shapley values into shares, and `measure` does all of it.
"""

from msam_lib.contributions.coalitions import coalition_logits, logits_of_pass
from msam_lib.contributions.measure import (
    Contributions,
    coalition_values,
    phi_and_shares,
    shapley_contributions,
)
from msam_lib.contributions.shapley import (
    coalition_masks,
    sampled_shapley,
    shapley_from_values,
    shapley_numerators,
)
from msam_lib.contributions.shares import (
    accuracy_shares,
    dominant_modality,
    leader,
    normalise,
    value_shares,
)
from msam_lib.contributions.values import VALUES, value_function

__all__ = [
    "VALUES",
    "Contributions",
    "accuracy_shares",
    "coalition_logits",
    "coalition_masks",
    "coalition_values",
    "dominant_modality",
    "leader",
    "logits_of_pass",
    "normalise",
    "phi_and_shares",
    "sampled_shapley",
    "shapley_contributions",
    "shapley_from_values",
    "shapley_numerators",
    "value_function",
    "value_shares",
]
