"""InfoReg: in the prime learning window the better modality is held near where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from msam_lib._utils.options import AtLeastZero
from msam_lib._utils.vectors import flat, unflat
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import grads_of
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Method, Task
from msam_lib.models.base import Model, Output
from msam_lib.tasks import KINDS

SMOOTH = 10  # epochs over which the Fisher traces are averaged, those before the first being 0


class InfoReg(Method):
    r"""Information-regulated learning (Huang et al., CVPR 2025).

    $$\mathcal L = \mathrm{CE}(\text{fused}) + \text{weight} \sum_m \mathrm{CE}(z_m).$$

    Encoder $m$ is in its prime window while its Fisher trace still grows: with $t_e$ the sum over
    its kernels and matrices of the mean squared gradient, accumulated over epoch $e$, and $T_e$ the
    mean of the last ten $t$, while $(T_e - T_{e-1}) / T_e > \text{threshold}$. Inside it, a
    modality ahead of the others, $\mathrm{gap}_m = s_m - \text{mean of the others' } s > 0$ with
    $s_m$ the batch sum of $\mathrm{softmax}(z_m)[y]$, gets

    $$\beta\, \exp(\tanh \mathrm{gap}_m)\, (w - w_0)$$

    added to its encoder's gradient, $w_0$ the weights at the epoch's start.

    Changes: the gradient. Requires: per-modality logits. As in the released code, $T$ is a tenth of
    the sum from the first epoch on, as though ten zeros had come before: the growth is then
    $t_e / (t_0 + \dots + t_e)$, so that the window is hardly ever shut within the first ten epochs,
    and $t$ includes what was added to the gradient. The traces come from the training gradients:
    one backward pass (the released code takes six). That code watches the first modality's trace
    only, with constants per modality; here every encoder has its own window, and the gap to the
    mean of the others generalises to $M$ (for $M = 2$ the same). In a bare loop the window is open
    and $w_0$ are the weights at the beginning.

    Args:
        beta: strength, one number or {modality: number}.
        threshold: of the growth of the trace.
        weight: of the unimodal losses; with beta = 0, 0 is joint training.
    """

    tasks = KINDS
    reference = "Huang et al., CVPR 2025"
    requires = frozenset({"unimodal_logits"})
    caveat = "the released constants (0.95 and 0.1) were tuned per modality to CREMA-D"
    neutral: ClassVar = {"beta": 0.0, "weight": 0.0}
    paper_options: ClassVar = {"CREMA-D (released)": {"beta": {"audio": 0.95, "visual": 0.1}}}

    trace: Tensor

    def __init__(
        self,
        beta: AtLeastZero | Mapping[str, AtLeastZero] = 0.1,
        threshold: float = 0.05,
        weight: AtLeastZero = 1.0,
    ) -> None:
        super().__init__()
        self.beta, self.threshold, self.weight = beta, threshold, weight
        self.memory = Memory(traces=[], open={})
        self.register_buffer("trace", torch.zeros(0))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        names = model.modalities
        self.trace = torch.zeros(len(names), device=next(model.parameters()).device)
        for i, m in enumerate(names):
            self.register_buffer(f"anchor_{i}", _weights(model, m))

    def loss(self, output: Output, batch: Batch) -> Tensor:
        base = super().loss(output, batch)
        if not self.weight:
            return base
        own = [self.task.loss(z.float(), batch.targets) for z in output.unimodal.values()]
        return base + self.weight * sum(own)

    @torch.no_grad()
    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        gaps = self.gaps(output, batch.targets)
        for i, m in enumerate(model.modalities):
            beta = self.beta.get(m, 0.0) if isinstance(self.beta, Mapping) else self.beta
            if beta and self.memory["open"].get(m, True):
                # only a modality ahead of the others is held near w_0
                strength = torch.where(gaps[i] > 0, beta * torch.exp(torch.tanh(gaps[i])), 0.0)
                self._pull(model.parameters_of(m), getattr(self, f"anchor_{i}"), strength)
            grads = grads_of(model.parameters_of(m))
            # Fisher trace of kernels and matrices, what was added included
            self.trace[i] += sum(g.square().mean() for g in grads if g.dim() > 1)

    def _pull(self, parameters: list[nn.Parameter], anchor: Tensor, strength: Tensor) -> None:
        """Add strength * (w - w_0) to the gradients."""
        for p, here in zip(parameters, unflat(anchor, parameters), strict=True):
            if p.grad is not None:
                p.grad.add_(strength * (p - here))

    def gaps(self, output: Output, targets: Tensor) -> Tensor:
        """gap (M,): how far each modality's score is ahead of the others' mean."""
        z = torch.stack([v.float() for v in output.unimodal.values()])  # (M, N, C)
        s = world.sum(self.task.score(z, targets).sum(1))  # s_m (M,)
        return s - (s.sum() - s) / (len(s) - 1)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """New anchors."""
        self.trace = torch.zeros_like(self.trace)
        for i, m in enumerate(model.modalities):
            setattr(self, f"anchor_{i}", _weights(model, m))

    def on_epoch_end(self, model: Model, epoch: int, loaders: Any, history: Any) -> None:
        """Which windows are open in the next epoch."""
        traces = [*self.memory["traces"], self.trace.tolist()]
        self.memory["traces"] = traces[-SMOOTH - 1 :]  # as many as T_e and T_{e-1} need
        growth = relative_growth(self.memory["traces"])
        names = model.modalities
        pairs = zip(names, growth, strict=True)
        self.memory["open"] = {m: k > self.threshold for m, k in pairs}


def relative_growth(traces: list[list[float]]) -> list[float]:
    """(T_e - T_{e-1}) / T_e per modality, T a tenth of the sum over the last ten epochs.

    >>> relative_growth([[1.0], [3.0]])  # sums 4 and 1
    [0.75]
    """
    now, before = (torch.tensor(t).sum(0) for t in (traces[-SMOOTH:], traces[-SMOOTH - 1 : -1]))
    # the tenths of T cancel
    return ((now - before) / now.clamp_min(1e-30)).tolist()


def _weights(model: Model, modality: str) -> Tensor:
    return flat(p.detach() for p in model.parameters_of(modality)).clone()
