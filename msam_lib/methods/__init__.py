"""Training rules, one paper per file. `build_method(name, **options)` makes one; `METHODS` lists
them.

In your own loop a method is one call per batch:

>>> import torch
>>> from msam_lib.data import Batch
>>> from msam_lib.models import wrap
>>> net = torch.nn.Bilinear(3, 4, 2)
>>> model = wrap(net, ["x1", "x2"], call="args")
>>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
>>> batch = Batch({"x1": torch.ones(5, 3), "x2": torch.ones(5, 4)}, torch.tensor([0, 1, 0, 1, 0]))
>>> sorted(build_method("msam", rho=0.1).step(model, batch, optimizer))
['loss', 'share/x1', 'share/x2']

On several ranks the same call takes the step of one process with all ranks' samples: initialise
`torch.distributed` (as `torchrun` scripts do), leave the model unwrapped, and give each rank its
rows of the batch, at least one; ranks may have different numbers of them. The weights that the
first rank has when `step` is first called become everybody's. `method.sync = "local"` lets the
first pass of sharpness-aware methods follow the gradient of the rank's own rows (m-sharpness, one
reduction fewer). Batch normalisation takes the statistics of the rank's rows, and dropout is drawn
rank by rank; models without either do not depend on the number of ranks, up to rounding. A method
of your own keeps to this if it takes its gradients from `Method` and no other statistic of the
batch decides anything.
"""

from __future__ import annotations

from typing import Any

from msam_lib import catalogue
from msam_lib._utils.arguments import check_options
from msam_lib._utils.registry import Registry
from msam_lib.errors import UnsupportedSetting, unknown_name
from msam_lib.methods.base import Method
from msam_lib.methods.requirements import capabilities

METHODS: Registry[type[Method]] = Registry(catalogue.METHODS)

# Methods of the related work whose formulas we could not find: named, never guessed.
UNKNOWN: dict[str, str] = {
    "ga_sam": "GA-SAM (Zhang et al., EMNLP 2022, arXiv 2210.06895) scales SAM's radius per group "
    "of parameters by the strength of gradients; the formula is in none of our sources, and no "
    "code was released."
}


def build_method(name: str, **options: Any) -> Method:
    """The method called `name` with the given options.

    Raises:
        MsamError: for an unknown name or option, with the nearest one suggested.
    """
    if name in UNKNOWN:
        raise UnsupportedSetting(
            f"{name!r} is not implemented: {UNKNOWN[name]} Use 'sam' or 'asam'."
        )
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    check_options(f"method {name!r}", METHODS[name], options)
    return METHODS[name](**options)


__all__ = [
    "METHODS",
    "Method",
    "build_method",
    "capabilities",
]
