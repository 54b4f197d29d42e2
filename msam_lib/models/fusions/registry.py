"""The fusions by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msam_lib import catalogue
from msam_lib._utils.arguments import check_options
from msam_lib._utils.registry import Registry
from msam_lib.errors import unknown_name
from msam_lib.models.base import Layout
from msam_lib.models.fusions.base import Fusion
from msam_lib.models.fusions.guided import SegmentwiseFusion

FUSIONS: Registry[type[Fusion]] = Registry(catalogue.FUSIONS)
GIVEN = ("dims", "classes", "layouts", "segments")  # by the encoders and the task: no options


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
    return _checked(name, options)(dims, classes, **options)


def laid_out(name: str) -> bool:
    """Whether a fusion reads the parts of features, see `Layout`."""
    return name in FUSIONS and FUSIONS[name].laid_out


def fusion_for(
    name: str,
    dims: Mapping[str, int],
    classes: int,
    layouts: Mapping[str, Layout],
    segments: int = 1,
    options: Mapping[str, object] | None = None,
) -> Fusion:
    """The fusion of encoders' features, with logits of each of so many segments.

    Args:
        name, dims: as of `build_fusion`.
        classes: of every segment.
        layouts: {modality: `Layout` of its features}.
        segments: answered one by one where every layout has so many, else all at once.
        options: of the fusion's class.

    Raises:
        MsamError: see `build_fusion`; or layouts that the fusion cannot read.
    """
    given = dict(options or {})
    cls = _checked(name, given)
    if cls.laid_out:
        return cls(dims, segments * classes, layouts=layouts, segments=segments, **given)
    if segments == 1 or any(layout.segments != segments for layout in layouts.values()):
        return cls(dims, segments * classes, **given)
    each = {m: d // segments for m, d in dims.items()}
    return SegmentwiseFusion(cls(each, classes, **given), segments)


def _checked(name: str, options: Mapping[str, object]) -> Any:
    """The class of a fusion that has these options."""
    if name not in FUSIONS:
        raise unknown_name("fusion", name, FUSIONS)
    check_options(f"fusion {name!r}", FUSIONS[name], options, without=GIVEN)
    return FUSIONS[name]
