"""Unimodal teachers: each modality's encoder trained alone, then fixed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from msam_lib._utils.progress import progress_bar
from msam_lib.data.loader import BatchLoader
from msam_lib.methods._gradients import backward
from msam_lib.methods._state import Memory
from msam_lib.models.base import Model
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import split
from msam_lib.tasks import Task


class Taught(NamedTuple):
    """What the teachers say of a batch: {m: features (N, D_m)} and {m: logits (N, C)}."""

    features: dict[str, Tensor]
    logits: dict[str, Tensor]


class Teachers(nn.Module):
    """A copy of every encoder with a linear head, kept in the method's state.

    Neither the order nor the names of the modalities play a part: heads begin at zero, and every
    teacher sees the same batches and draws the same random numbers.

    Args:
        model: whose encoders are copied, with the weights that they have now.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        whole = split(model)
        self.names = whole.modalities
        like = next(whole.parameters())
        self.encoders = nn.ModuleList(copy.deepcopy(whole.encoders[m]) for m in self.names)
        with torch.random.fork_rng():  # the run itself draws the same numbers as without
            self.heads = nn.ModuleList(whole.fusion.own_head(m) for m in self.names)
        for p in self.heads.parameters():
            nn.init.zeros_(p)
        self.heads.to(like)
        self.memory = Memory(ready=False)

    @property
    def ready(self) -> bool:
        """Whether they have been trained."""
        return bool(self.memory["ready"])

    @torch.no_grad()
    def forward(self, inputs: Mapping[str, Tensor]) -> Taught:
        """Features and logits in evaluation mode, without gradient."""
        with evaluating(self):
            features = {m: e(inputs[m]) for m, e in zip(self.names, self.encoders, strict=True)}
            pairs = zip(features.items(), self.heads, strict=True)
            return Taught(features, {m: head(h) for (m, h), head in pairs})

    def teach(self, batches: BatchLoader, epochs: int, lr: float, task: Task) -> None:
        """Train every teacher on its modality alone, with Adam.

        Args:
            batches: of the training split; the order follows the number of the epoch.
            epochs: of each teacher.
            lr: of Adam.
            task: whose loss is followed.
        """
        total = epochs * len(self.names) * len(batches)
        with (
            torch.random.fork_rng(),
            progress_bar(total=total, desc="teachers") as bar,
        ):
            for m, encoder, head in zip(self.names, self.encoders, self.heads, strict=True):
                torch.manual_seed(0)  # the same draws for every teacher
                net = nn.Sequential(encoder, head).train()
                optimizer = torch.optim.Adam(net.parameters(), lr=lr)
                device = next(head.parameters()).device
                for epoch in range(epochs):
                    batches.set_epoch(epoch)
                    for batch in batches:
                        optimizer.zero_grad(set_to_none=True)
                        logits = net(batch.inputs[m].to(device))
                        backward(task.loss(logits, batch.targets.to(device)))
                        optimizer.step()
                        bar.update()
                optimizer.zero_grad(set_to_none=True)
        self.memory["ready"] = True

    def teach_once(self, loaders: Any, epochs: int, lr: float, task: Task) -> None:
        """Train them on the loaders' training split, unless that has happened already."""
        if self.ready:
            return
        data, size = loaders.train.dataset, loaders.train.batch_size
        own = BatchLoader(data, size, shuffle=True, seed=0, drop_last="single")
        self.teach(own, epochs, lr, task)
