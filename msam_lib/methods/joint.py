"""Joint training: one loss on the fused logits. The baseline of every table."""

from typing import ClassVar

from msam_lib.methods.base import Method


class Joint(Method):
    """Ordinary training: theta <- theta - eta grad L(f(x_1, ..., x_M), y).

    Changes: nothing. Requires: nothing.
    """

    reference = "the ordinary baseline"
    neutral: ClassVar = {}
