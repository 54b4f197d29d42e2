"""Greedy: modalities exchange gates; the one that learns faster from the others loses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from msam_lib._utils.options import AtLeastZero, Count, Positive, WholeNumber
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import grads_of, own_parameters, total_norm, with_gradient
from msam_lib.methods._state import Memory, OwnOptimizer
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, Output
from msam_lib.models.multimodal import split
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer

FOLLOWED = ("lr", "momentum", "dampening", "weight_decay", "nesterov")


class Greedy(Method):
    r"""Balanced multi-modal learning (Wu, Jastrzebski, Cho, Geras, ICML 2022, arXiv 2202.05306).

    Multimodal networks are greedy learners: they come to rely on one modality. The features pass
    through a multi-modal transfer module (MMTM: Joze et al., CVPR 2020),

    $$h_m \leftarrow h_m \odot g_m,$$
    $$g_m = \sigma(E_m \operatorname{relu}(S\, [h_1, \dots, h_M])),$$

    and the conditional learning speed of modality $m$ compares its gates with its own branch,

    $$s_m = \log_{10} \frac{\mu(S, E_m)}{\mu(\text{encoder } m, \text{head } m)},$$
    $$\mu(\theta)
    = \sum_{\text{steps}} \frac{\lVert \nabla_\theta \mathcal L \rVert^2}{\lVert \theta
    \rVert^2}.$$

    Where a modality's $s_m$ is ahead of the mean of the others' by more than `threshold`, `window`
    re-balancing steps follow, in which its gates are replaced by their running average: it learns
    without the others. Speeds are measured in regular steps only.

    Changes: the model. Requires: features and late fusion or concatenation (the paper's branches
    have heads of their own). Source: the released `balanced_mmtm.py` and `callbacks.py`
    (`Bias_Mitigation_Strong`). It has two modalities, $\lvert s_0 - s_1 \rvert > \text{threshold}$:
    the mean of the others is our generalisation, the same for $M = 2$. There three MMTMs stand
    inside two ResNets; here one MMTM stands behind the encoders, whatever they are. The released
    running average of the second modality is fed with the first one's gates, and averages also move
    in evaluation: not here. The gates belong to the method: predictions use them, measurements of
    single modalities do not. They are trained by SGD with the settings of the model's optimizer.

    Args:
        threshold: of the difference of speeds (`epsilon` in the released code).
        window: re-balancing steps in a row (`curation_windowsize` there).
        ratio: of twice the features' sizes to the hidden size of the MMTM.
        warmup: epochs in which speeds are measured, but nothing is re-balanced.
    """

    tasks = KINDS
    reference = "Wu et al., ICML 2022, arXiv 2202.05306"
    passes = "1 forward, 1 backward, and the gates"
    requires = frozenset({"features"})
    fusions = ("late", "concat")
    caveat = (
        "one transfer module behind the encoders instead of three inside them; accuracies of "
        "single modalities are measured without it"
    )
    paper_options: ClassVar = {"ModelNet40 (released)": {"threshold": 0.01, "window": 5}}

    speeds: Tensor
    count: Tensor

    def __init__(
        self,
        threshold: AtLeastZero = 0.01,
        window: Count = 5,
        ratio: Positive = 4.0,
        warmup: WholeNumber = 1,
    ) -> None:
        super().__init__()
        self.threshold, self.window, self.ratio, self.warmup = threshold, window, ratio, warmup
        self.memory = Memory(epoch=None, modality=None, left=0)
        self.register_buffer("speeds", torch.zeros(2, 0))
        self.register_buffer("count", torch.zeros(()))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        like = next(model.parameters())
        dims = split(model).fusion.dims
        self.gates = Gates(dims, self.ratio).to(like)
        self.own = OwnOptimizer(torch.optim.SGD(self.gates.parameters(), lr=1.0))
        self.speeds = torch.zeros(2, len(dims), device=like.device)
        self.count = torch.zeros((), device=like.device)
        for i, d in enumerate(dims.values()):
            self.register_buffer(f"average_{i}", torch.zeros(d).to(like))

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Remember where we are."""
        self.memory["epoch"] = epoch

    def prepare(self, model: Model, optimizer: Optimizer | None) -> None:
        super().prepare(model, optimizer)
        self.own.optimizer.zero_grad(set_to_none=True)

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """One pass; features are multiplied by their gates or, re-balancing, by average ones."""
        whole = split(model)
        with self.autocast(batch):
            features = whole.encode(batch.inputs)
            gates = self._averaged(self.gates(features))
            output = whole.fuse({m: h * gates[m] for m, h in features.items()})
            return replace(output, features=features), self.loss(output, batch)

    def _averaged(self, gates: dict[str, Tensor]) -> dict[str, Tensor]:
        """The gates; those of the modality that is re-balanced, as their running average."""
        out = dict(gates)
        for i, (m, g) in enumerate(gates.items()):
            old = getattr(self, f"average_{i}")
            # the mean over all steps so far, re-balancing ones included
            now = world.mean(g.detach().mean(0)).to(old)
            mean = (now + old * self.count) / (self.count + 1)
            setattr(self, f"average_{i}", mean)
            if self.memory["left"] and self.memory["modality"] == i:
                out[m] = mean.to(g)  # a constant: it learns without the others
        self.count = self.count + 1
        return out

    @torch.no_grad()
    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        if self.memory["left"]:  # a re-balancing step: speeds stand still
            self.memory["left"] -= 1
            return
        shared = list(self.gates.squeeze.parameters())
        rates = []
        for m, excite in zip(model.modalities, self.gates.excite, strict=True):
            # mu of the gates (S, E_m), and of the branch (encoder m, head m)
            groups = [*shared, *excite.parameters()], own_parameters(model, m)
            rates.append(torch.stack([relative(with_gradient(group)) for group in groups]))
        self.speeds = self.speeds + torch.stack(rates, 1).to(self.speeds)  # sums over steps (2, M)
        epoch = self.memory["epoch"]
        if epoch is not None and epoch < self.warmup:
            return
        lead, fastest = ahead(self.speeds).max(0)
        # the decision of the next step: the only value that has to leave the device
        lead, fastest = torch.stack([lead, fastest.to(lead)]).tolist()
        if lead > self.threshold:
            self.memory["modality"], self.memory["left"] = int(fastest), self.window

    def update(self, model: Model, optimizer: Optimizer) -> None:
        super().update(model, optimizer)
        settings = optimizer.param_groups[0]
        # the gates take the learning rate, and its schedule, of the model
        followed = {k: settings[k] for k in FOLLOWED if k in settings}
        self.own.optimizer.param_groups[0].update(followed)
        self.own.optimizer.step()

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """A regular step or a re-balancing one; logs which."""
        chosen = self.memory["modality"] if self.memory["left"] else None
        logs = super().differentiate(model, batch, optimizer)
        names = enumerate(model.modalities)
        return logs | {f"rebalanced/{m}": float(i == chosen) for i, m in names}

    def predict(self, model: Model, batch: Batch) -> Tensor:
        """Logits (N, C) of the gated features."""
        whole = split(model)
        features = whole.encode(batch.inputs)
        gates = self.gates(features)
        return whole.fuse({m: h * gates[m] for m, h in features.items()}).logits


class Gates(nn.Module):
    """The MMTM on vectors: gates {m: (N, D_m)} from all features {m: (N, D_m)} together.

    Every modality's part begins with the same random numbers, so that their order does not matter.

    Args:
        dims: feature size per modality.
        ratio: see `Greedy`.
    """

    def __init__(self, dims: Mapping[str, int], ratio: float) -> None:
        super().__init__()
        total = sum(dims.values())
        hidden = max(1, int(2 * total / ratio))
        with torch.random.fork_rng():
            self.squeeze = nn.Linear(total, hidden)
            self.excite = nn.ModuleList()
            with torch.no_grad():
                for part in self.squeeze.weight.split(list(dims.values()), dim=1):
                    torch.manual_seed(0)
                    part.uniform_(-(total**-0.5), total**-0.5)
                self.squeeze.bias.uniform_(-(total**-0.5), total**-0.5)
            for d in dims.values():
                torch.manual_seed(0)
                self.excite.append(nn.Linear(hidden, d))

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        hidden = torch.relu(self.squeeze(torch.cat(list(features.values()), dim=1)))
        return {m: torch.sigmoid(e(hidden)) for m, e in zip(features, self.excite, strict=True)}


def relative(parameters: list[nn.Parameter]) -> Tensor:
    """|gradient|^2 / |weights|^2 of all these parameters together."""
    tiny = torch.finfo(torch.float32).tiny
    weights = total_norm([p.detach() for p in parameters])
    return (total_norm(grads_of(parameters)) / weights.clamp_min(tiny)) ** 2


def ahead(speeds: Tensor) -> Tensor:
    """How far each modality's conditional learning speed is ahead of the others' mean (M,), from
    the sums mu (2, M) of its gates and of its branch.

    >>> ahead(torch.tensor([[10.0, 1.0], [1.0, 1.0]]))
    tensor([ 1., -1.])
    """
    tiny = torch.finfo(speeds.dtype).tiny
    s = torch.log10(speeds[0].clamp_min(tiny)) - torch.log10(speeds[1].clamp_min(tiny))  # s_m
    return s - (s.sum() - s) / max(len(s) - 1, 1)
