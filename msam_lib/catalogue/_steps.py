"""The pseudo-code of every method, six lines each."""

from __future__ import annotations

import re

from msam_lib.catalogue._steps_gradients import GRADIENT_STEPS
from msam_lib.catalogue._steps_losses import LOSS_STEPS


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a block, each with the further indented ones that go on with it.

    >>> lines_of(chr(10) + "    One" + chr(10) + "        line." + chr(10) + "    Two." + chr(10))
    ('One line.', 'Two.')
    """
    block = text.strip("\n").rstrip()
    depth = len(block) - len(block.lstrip())
    return tuple(
        " ".join(line.split()) for line in re.split(rf"\n {{{depth}}}(?=\S)", block) if line.strip()
    )


STEPS = {name: lines_of(text) for name, text in (GRADIENT_STEPS | LOSS_STEPS).items()}
