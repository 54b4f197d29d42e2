"""Layers watched during a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

AFFINE_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)  # linear in their weights

Seen = Callable[[str, nn.Module, Tensor, Tensor], None]  # (name, layer, its input, its output)


@contextmanager
def watching(model: nn.Module, kinds: tuple[type[nn.Module], ...], seen: Seen) -> Iterator[None]:
    """Inside, `seen` is called after every pass through a layer of these kinds."""

    def hook(name: str) -> Callable[..., None]:
        def run(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            seen(name, module, args[0], out)

        return run

    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, kinds)]
    handles = [m.register_forward_hook(hook(n)) for n, m in layers]
    try:
        yield
    finally:
        for h in handles:
            h.remove()
