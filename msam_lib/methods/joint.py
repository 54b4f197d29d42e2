"""Joint training: one loss on the fused logits. The baseline of every table."""

from typing import ClassVar

from msam_lib.methods.base import Method
from msam_lib.tasks import KINDS


class Joint(Method):
    r"""Ordinary training.

    $$\theta \leftarrow \theta - \eta \nabla \mathcal L(f(x_1, \dots, x_M), y).$$

    Changes: nothing. Requires: nothing.
    """

    tasks = KINDS
    reference = "the ordinary baseline"
    neutral: ClassVar = {}
