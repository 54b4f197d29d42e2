"""Blocks of parameters by name, and directions in them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from msam_lib.diagnostics._losses import Block, Direction
from msam_lib.errors import MsamError, unknown_name


def all_blocks(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Names of the floating-point parameters by block; one block `"all"` for a model without
    `blocks()`.
    """
    found = model.blocks() if hasattr(model, "blocks") else {"all": dict(model.named_parameters())}
    return {b: tuple(n for n, p in ps.items() if p.is_floating_point()) for b, ps in found.items()}


def select(model: nn.Module, block: Block = "all") -> dict[str, nn.Parameter]:
    """The named parameters of a block: a modality (its encoder), `"fusion"`, `"all"`, or a list of
    those.

    Frozen parameters (`requires_grad=False`) belong to it too: curvature is a property of the
    function.

    Raises:
        MsamError: an unknown block, one without parameters, or parameters in half precision.
    """
    blocks = all_blocks(model)
    names: set[str] = set()
    for b in (block,) if isinstance(block, str) else block:
        if b != "all" and b not in blocks:
            raise unknown_name("block", b, [*blocks, "all"])
        names.update(*blocks.values()) if b == "all" else names.update(blocks[b])
    out = {n: p for n, p in model.named_parameters() if n in names}
    if not out:
        filled = [b for b, ns in blocks.items() if ns]
        raise MsamError(
            f"block={block!r} has no parameters; blocks with parameters: {', '.join(filled)}."
        )
    for name, p in out.items():
        if p.dtype in (torch.float16, torch.bfloat16):
            raise MsamError(
                f"Parameter {name!r} is in half precision ({p.dtype}), too coarse for "
                "second differences. "
                "Use a copy in full precision: copy.deepcopy(model).float()."
            )
    return out


def as_direction(model: nn.Module, direction: Mapping[str, Tensor]) -> Direction:
    """Check a direction against the model and bring it to its device and precision.

    Raises:
        MsamError: a name the model has not, or a wrong shape.
    """
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
                f"{tuple(p.shape)}. "
                "Make directions with random_direction(model, ...) for this very model."
            )
        out[name] = d.detach().to(p)
    return out


def label(block: Block) -> str:
    """A block as text."""
    return block if isinstance(block, str) else "+".join(block)
