"""The fusions by name."""

from __future__ import annotations

from collections.abc import Mapping

from msam_lib import catalogue
from msam_lib._utils.arguments import check_options
from msam_lib._utils.registry import Registry
from msam_lib.errors import unknown_name
from msam_lib.models.fusions.base import Fusion

FUSIONS: Registry[type[Fusion]] = Registry(catalogue.FUSIONS)


def build_fusion(name: str, dims: Mapping[str, int], classes: int, **options: object) -> Fusion:
    """A fusion by name.

    Args:
        name: see `msam_lib.catalogue.FUSIONS`.
        dims: {modality: size of its features}.
        classes: number of logits C.
        **options: of the fusion's class.

    Raises:
        MsamError: an unknown name or option, or a value that is not allowed.

    >>> build_fusion("late", {"x1": 4, "x2": 8}, classes=3).additive
    True
    """
    if name not in FUSIONS:
        raise unknown_name("fusion", name, FUSIONS)
    check_options(f"fusion {name!r}", FUSIONS[name], options, without=("dims", "classes"))
    return FUSIONS[name](dims, classes, **options)
