"""Blocks of parameters by name, and directions in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from msam_lib.errors import MsamError, unknown_name
from msam_lib.models.base import Model

FUSION = "fusion"  # the block of everything outside the encoders, as `Model.blocks` calls it
ALL = "all"  # all weights, where a block is asked for
TOTAL = "total"  # all weights, beside the single blocks in an answer
FUSED = "fused"  # the whole model, in the column `modality` of results

Block = str | Sequence[str]  # a modality (its encoder), FUSION, ALL, or several of those
Direction = dict[str, Tensor]  # by parameter name; a parameter that is not named does not move


def all_blocks(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Names of the floating-point parameters by block; one block `"all"` for a module that is no
    `Model`.
    """
    blocks = model.blocks() if isinstance(model, Model) else {ALL: dict(model.named_parameters())}
    return {b: tuple(n for n, p in ps.items() if p.is_floating_point()) for b, ps in blocks.items()}


def filled_blocks(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """`all_blocks` without those that have no parameters."""
    return {b: names for b, names in all_blocks(model).items() if names}


def select(model: nn.Module, block: Block = ALL) -> dict[str, nn.Parameter]:
    """The named parameters of a block: a modality (its encoder), `"fusion"`, `"all"`, or a list of
    those.

    Frozen parameters (`requires_grad=False`) belong to it too: curvature is a property of the
    function.

    Raises:
        MsamError: an unknown block, one without parameters, or parameters in half precision.
    """
    blocks = all_blocks(model)
    names: set[str] = set()
    # The union, so that overlapping blocks count each weight once.
    for b in (block,) if isinstance(block, str) else block:
        if b != ALL and b not in blocks:
            raise unknown_name("block", b, [*blocks, ALL])
        names.update(*blocks.values()) if b == ALL else names.update(blocks[b])
    # In the model's order, whatever the order of the blocks.
    out = {n: p for n, p in model.named_parameters() if n in names}
    if not out:
        raise MsamError(
            f"block={block!r} has no parameters; blocks with parameters: "
            f"{', '.join(filled_blocks(model))}."
        )
    for name, p in out.items():
        if p.dtype in (torch.float16, torch.bfloat16):
            raise MsamError(
                f"Parameter {name!r} is in half precision ({p.dtype}), too coarse for second "
                "differences. Use a copy in full precision: copy.deepcopy(model).float()."
            )
    return out


def as_direction(model: nn.Module, direction: Mapping[str, Tensor]) -> Direction:
    """Check a direction against the model and bring it to its device and precision.

    Raises:
        MsamError: a name that the model does not have, or a wrong shape.
    """
    # Running statistics may move as well, between checkpoints.
    known = dict(model.named_parameters()) | {
        n: b for n, b in model.named_buffers() if b.is_floating_point()
    }
    out = {}
    for name, d in direction.items():
        if name not in known:
            raise unknown_name("parameter in the direction:", name, known)
        p = known[name]
        if d.shape != p.shape:
            raise MsamError(
                f"The direction has shape {tuple(d.shape)} for {name!r}, the parameter has "
                f"{tuple(p.shape)}. Make directions with random_direction(model, ...) for this "
                "very model."
            )
        out[name] = d.detach().to(p)
    return out


def label(block: Block) -> str:
    """A block as text."""
    return block if isinstance(block, str) else "+".join(block)


def modality_of(block: Block) -> str:
    """A block in the column `modality` of results: `"fused"` for all weights together.

    >>> [modality_of(b) for b in ("audio", "fusion", "all", "total")]
    ['audio', 'fusion', 'fused', 'fused']
    """
    return FUSED if block in (ALL, TOTAL) else label(block)
