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
"""

from __future__ import annotations

from typing import Any

from msam_lib import catalogue
from msam_lib._utils.arguments import check_options
from msam_lib._utils.registry import Registry
from msam_lib.errors import UnsupportedSetting, unknown_name
from msam_lib.methods.base import Method, Task
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
    "Task",
    "build_method",
    "capabilities",
]
