"""Context managers that change how a module runs and restore it: evaluation mode, frozen batch
statistics, replayed dropout.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

OWN = ("torch.nn.modules.", "msam_lib.")  # modules whose random numbers are known


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards every sub-module has its former mode."""
    # Only modules that train have to be switched, and switched back.
    modes = [(m, m.training) for m in module.modules() if m.training]
    for m, _ in modes:
        m.training = False
    try:
        yield
    finally:
        for m, mode in modes:
            m.training = mode


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Batch normalisation in training mode without updates of its running statistics inside.

    The second pass of a sharpness-aware step must not update them at the perturbed weights.
    Switching `track_running_stats` off does exactly this; the common `momentum = 0` still advances
    `num_batches_tracked`.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for m in norms:
        m.track_running_stats = False
    try:
        yield
    finally:
        for m in norms:
            m.track_running_stats = True


class RandomState:
    """Replays dropout: `with state.replay():` draws the same masks as were drawn after
    `RandomState(...)`.

    Modules that are neither torch's nor this library's (a Hugging Face layer with dropout inside
    its attention, say) may draw random numbers anywhere, so they count as if they did.

    The second pass of a sharpness-aware step is the gradient of the *same* function at other
    weights, so its dropout masks have to be those of the first. Where no dropout is active, nothing
    is stored or replayed.

    Args:
        module: the model.
        device: where it runs.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        dropping = any(m.training and _draws(m) for m in module.modules())
        self.devices = [device] if device.type == "cuda" else []
        self.states: tuple | None = None
        if dropping:
            cuda = [torch.cuda.get_rng_state(d) for d in self.devices]
            self.states = (torch.get_rng_state(), cuda)

    @contextmanager
    def replay(self) -> Iterator[None]:
        """The stored state of the random number generators inside; afterwards their former one."""
        if self.states is None:
            yield
            return
        # The numbers drawn inside do not advance the run's own generators.
        with torch.random.fork_rng(self.devices):
            torch.set_rng_state(self.states[0])
            for device, state in zip(self.devices, self.states[1], strict=True):
                torch.cuda.set_rng_state(state, device)
            yield


def _draws(module: nn.Module) -> bool:
    """Whether the module itself may draw random numbers in training mode."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, nn.MultiheadAttention | nn.RNNBase):
        return module.dropout > 0  # attention and recurrent layers with dropout of their own
    return isinstance(module, nn.RReLU) or not type(module).__module__.startswith(OWN)
