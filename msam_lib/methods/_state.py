"""What a method trains or keeps for itself, so that a resumed run is exact."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn
from torch.optim import Optimizer


class OwnOptimizer(nn.Module):
    """An optimizer of a method's own modules, saved and loaded as part of the method's state.

    Args:
        optimizer: over parameters of the method (never of the model, whose optimizer is passed to
            each step).
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__()
        self.optimizer = optimizer

    def get_extra_state(self) -> dict[str, Any]:
        """A copy of the optimizer's state dict, which later steps do not change."""
        return copy.deepcopy(self.optimizer.state_dict())

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Load it back."""
        self.optimizer.load_state_dict(copy.deepcopy(state))


class Memory(nn.Module):
    """Plain numbers that a method carries from step to step or epoch to epoch, kept in its state.

    >>> memory = Memory(epoch=0)
    >>> memory["epoch"] += 1
    >>> memory.state_dict()["_extra_state"]
    {'epoch': 1}
    """

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.values = values

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.values[key] = value

    def get_extra_state(self) -> dict[str, Any]:
        """A copy of the values."""
        return copy.deepcopy(self.values)

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Load them back."""
        self.values = copy.deepcopy(state)
