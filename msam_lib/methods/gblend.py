"""G-Blend: losses of the modalities and of the whole, weighted by how they overfit."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import Choice, Count, Positive, Range
from msam_lib._utils.progress import progress_bar
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.data.loader import BatchLoader
from msam_lib.methods._gradients import backward
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model, Output, summed
from msam_lib.models.contexts import evaluating
from msam_lib.tasks import KINDS, Task

if TYPE_CHECKING:
    from torch.optim import Optimizer

WHOLE = "fused"
ESTIMATES = ("online", "offline")
SMALLEST_GROWTH = 0.02  # nats; a head that hardly overfits would get all the weight


class GBlend(Method):
    r"""Gradient blending (Wang, Tran, Feiszli, CVPR 2020, arXiv 1905.12681).

    $$\mathcal L = \sum_k w_k \mathcal L_k,$$
    $$w_k \propto G_k / O_k^2,$$

    over the modalities' heads and the fused one: trained alone for `probe_epochs` from the present
    weights, loss $k$ gains $G_k$ on held-out samples (generalisation) while the distance between
    held-out and training loss grows by $O_k$ (overfitting). The weights sum to 1.

    Changes: the loss. Requires: per-modality logits, and epochs; in a bare loop all weights are
    equal. A negative gain gets weight 0 (all equal if none is positive) and $\lvert O_k \rvert$ is
    taken as at least 0.02 nats; the paper says nothing on either. MultiBench's version takes the
    losses at the end instead of their changes. The estimate is made in the first step of an epoch,
    where the optimizer's learning rate is known: the weights depend on it strongly.

    Args:
        estimate: `"online"`: again every `super_epoch` epochs; `"offline"`: once, before training.
        super_epoch: epochs between two estimates.
        probe_epochs: epochs that each loss is trained alone, from a copy of the model.
        held_out: share of the training split that the copies do not see.
        lr: of the copies' SGD (momentum 0.9); by default the optimizer's present learning rate,
            parameter by parameter.
    """

    tasks = KINDS
    reference = "Wang et al., CVPR 2020, arXiv 1905.12681"
    requires = frozenset({"unimodal_logits"})
    passes = "1 forward, 1 backward; M + 1 short trainings per estimate"
    caveat = "the paper's equation is quoted from memory; clipping of gains is our choice"
    paper_options: ClassVar = {"MultiBench": {"super_epoch": 20, "held_out": 0.08}}

    def __init__(
        self,
        estimate: Annotated[str, Choice(ESTIMATES)] = "online",
        super_epoch: Count = 5,
        probe_epochs: Count = 1,
        held_out: Annotated[float, Range(above=0, below=1)] = 0.1,
        lr: Positive | None = None,
    ) -> None:
        super().__init__()
        self.estimate, self.super_epoch, self.probe_epochs = estimate, super_epoch, probe_epochs
        self.held_out, self.lr = held_out, lr
        self.memory = Memory(weights={})
        self._due: tuple[int, Any] | None = None  # an estimate's epoch and loaders

    def loss(self, output: Output, batch: Batch) -> Tensor:
        each = losses(output, batch.targets, self.task)
        # equal until the first estimate, and in a bare loop
        weights = self.memory["weights"] or dict.fromkeys(each, 1 / len(each))
        return summed(weights[k] * each[k] for k in each)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Ask for an estimate where it is time."""
        due = epoch == 0 or (self.estimate == "online" and epoch % self.super_epoch == 0)
        self._due = (epoch, loaders) if due else None

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """A step on the weighted losses, after an estimate where one is due."""
        if self._due is not None:
            (epoch, loaders), self._due = self._due, None
            rates = self._rates(model, self.given(optimizer))
            with world.paused():  # every rank trains the copies on all data
                self._estimate(model, epoch, loaders, rates)
        return super().differentiate(model, batch, optimizer)

    def _rates(self, model: Model, optimizer: Optimizer) -> list[float]:
        """The copies' learning rate of every parameter; 0 for one that the optimizer leaves."""
        if self.lr is not None:
            return [self.lr for _ in model.parameters()]
        known = {id(p): float(g["lr"]) for g in optimizer.param_groups for p in g["params"]}
        return [known.get(id(p), 0.0) for p in model.parameters()]

    def _estimate(self, model: Model, epoch: int, loaders: Any, rates: list[float]) -> None:
        """Train copies on each loss alone, and weigh the losses by what that did."""
        data, size = loaders.train.dataset, loaders.train.batch_size
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        # the copies never see `held`: what they gain there is generalisation
        cut = max(1, round(self.held_out * len(data)))
        held, fit = data.subset(order[:cut]), data.subset(order[cut:])
        with torch.random.fork_rng():  # the run itself draws the same numbers as without
            before = self._measure(model, fit), self._measure(model, held)  # (training, held-out)
            changes = {}
            for k in progress_bar(list(before[0]), desc="G-Blend"):
                after = self._alone(k, model, fit, held, size, epoch, rates)
                gain = before[1][k] - after[1]  # G_k
                growth = (after[1] - after[0]) - (before[1][k] - before[0][k])  # O_k
                changes[k] = (gain, growth)
        self.memory["weights"] = world.from_first(blend(changes))

    def _alone(
        self, k: str, model: Model, fit: Any, held: Any, size: int, epoch: int, rates: list[float]
    ) -> tuple[float, float]:
        """Training and held-out loss k after training a copy on it."""
        net = copy.deepcopy(model).train()
        groups: dict[float, list[Tensor]] = defaultdict(list)
        # every parameter at its own rate, with one group per rate
        for p, rate in zip(net.parameters(), rates, strict=True):
            groups[rate].append(p)
        several = [{"params": ps, "lr": rate} for rate, ps in groups.items()]
        optimizer = torch.optim.SGD(several, lr=0.0, momentum=0.9)
        device = next(net.parameters()).device
        batches = BatchLoader(fit, size, shuffle=True, seed=epoch, drop_last="single")
        for _ in range(self.probe_epochs):
            for batch in batches:
                batch = batch.to(device)
                optimizer.zero_grad(set_to_none=True)
                backward(losses(net(batch.inputs), batch.targets, self.task)[k])
                optimizer.step()
        return self._measure(net, fit)[k], self._measure(net, held)[k]

    @torch.no_grad()
    def _measure(self, model: Model, data: Any) -> dict[str, float]:
        """{loss: mean over samples} in evaluation mode."""
        device, sums = next(model.parameters()).device, dict[str, float]()
        with evaluating(model):
            for batch in BatchLoader(data, None):
                batch = batch.to(device)
                for k, v in losses(model(batch.inputs), batch.targets, self.task).items():
                    sums[k] = sums.get(k, 0.0) + float(v) * len(batch.targets)
        return {k: v / len(data) for k, v in sums.items()}


def losses(output: Output, targets: Tensor, task: Task) -> dict[str, Tensor]:
    """The loss of every modality's own logits and of the fused ones."""
    each = {m: task.loss(z.float(), targets) for m, z in output.unimodal.items()}
    return each | {WHOLE: task.loss(output.logits.float(), targets)}


def blend(changes: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """w_k proportional to G_k / O_k^2 from {loss: (G_k, O_k)}; they sum to 1.

    >>> blend({"x1": (0.4, 0.2), "x2": (0.1, 0.1), "fused": (-1.0, 0.1)})
    {'x1': 0.5, 'x2': 0.5, 'fused': 0.0}
    """
    # no gain, no weight; the floor keeps a small O_k from taking all
    raw = {k: max(0.0, g) / max(abs(o), SMALLEST_GROWTH) ** 2 for k, (g, o) in changes.items()}
    total = sum(raw.values())
    if total == 0:
        return dict.fromkeys(raw, 1 / len(raw))
    return {k: round(v / total, 12) for k, v in raw.items()}
