"""What a method asks of a model that `torch.compile` has compiled."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

# How a method uses the graph of a forward pass: for one backward pass, for several, or for
# derivatives of derivatives.
USES = ("once", "twice", "second order")


def compiled_for(use: str) -> AbstractContextManager[object]:
    """The context in which a compiled model serves this use; nothing for any other model.

    A compiled backward pass gives its buffers away ("donates" them), so a second one through the
    same graph needs that switched off while the model is compiled. Compiled graphs have no second
    derivative: there the model runs as it was written.
    """
    if use == "twice":
        config = getattr(getattr(torch, "_functorch", None), "config", None)
        if config is not None and hasattr(config, "donated_buffer"):
            context: AbstractContextManager[object] = config.patch(donated_buffer=False)
            return context
    if use == "second order" and hasattr(torch.compiler, "set_stance"):
        stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
        return stance
    return nullcontext()
