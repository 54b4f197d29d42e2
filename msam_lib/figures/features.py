"""The effect of measuring M-SAM's shares on one kind of features or the other."""

from __future__ import annotations

from msam_lib.figures.item import FigureItem
from msam_lib.plots.features import feature_gap, feature_gap_alt

ITEM = FigureItem(
    name="msam_features_digits",
    title="Whose features M-SAM's shares are measured on",
    caption="Difference between M-SAM's shares with the features of an evaluation pass and with "
    "those of the training pass, measured side by side at every step of a training on "
    "digits (small CNN with batch normalisation; steps follow the evaluation pass). Mean over "
    "seeds and their range, averaged over ten steps.",
    needs="shares_of_features",
    draw=feature_gap,
    describe=feature_gap_alt,
)
