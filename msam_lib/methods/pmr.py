"""PMR: the slower modality is pulled towards its class prototypes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Choice, Range, ShareBelowOne, WholeNumber
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.data.loader import BatchLoader
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Method, Task
from msam_lib.methods.requirements import at_least_two
from msam_lib.models.base import Model, Output
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import split

VARIANTS = ("paper", "released")


class PMR(Method):
    r"""Prototypical modality rebalance (Fan et al., CVPR 2023, arXiv 2211.07089).

    Each modality has a prototype per class, the mean feature of the class over a part of the
    training split, renewed before every epoch. With
    $\mathrm{sim}_m = -\lVert h_m - \text{prototypes} \rVert$ as logits and $s_m$ the sum over the
    batch of $\mathrm{softmax}(\mathrm{sim}_m)[y]$,

    $$\mathcal L = \mathrm{CE}
    + \alpha \sum_m \mathrm{slow}_m\, \mathrm{CE}(\mathrm{sim}_m, y)
    - \text{entropy} \sum_m \mathrm{fast}_m\, H(\mathrm{softmax}\, \mathrm{sim}_m),$$

    $\mathrm{slow}_m = \operatorname{clip}(\text{others} / s_m - 1, 0, 1)$ and
    $\mathrm{fast}_m = \operatorname{clip}(s_m / \text{others} - 1, 0, 1)$, others the mean score of
    the other modalities (for $M = 2$ the paper's ratio). The entropy term, which holds the faster
    modality back, is there in the first `entropy_epochs` epochs.

    Changes: the loss. Requires: features, and epochs; in a bare loop there are no prototypes and
    training is joint. The released code switches the slower modality's term fully on
    (`variant="released"`, $\mathrm{slow}_m = 1$ for $s_m$ below the others) and lacks the entropy
    term; only this variant could be compared with code.

    Args:
        alpha: weight of the prototype loss; with entropy = 0, 0 is joint training.
        entropy: weight of the entropy term.
        entropy_epochs: how long.
        momentum: share of the old prototypes that is kept.
        share: of the training split that the prototypes are computed from.
        variant: see above.
    """

    reference = "Fan et al., CVPR 2023, arXiv 2211.07089"
    requires = frozenset({"features"})
    caveat = "coefficients and entropy term are quoted from memory of the paper"
    neutral: ClassVar = {"alpha": 0.0, "entropy": 0.0}
    paper_options: ClassVar = {"CREMA-D (released)": {"alpha": 1.0, "momentum": 0.2}}

    def __init__(
        self,
        alpha: AtLeastZero = 1.0,
        entropy: AtLeastZero = 0.1,
        entropy_epochs: WholeNumber = 5,
        momentum: ShareBelowOne = 0.2,
        share: Annotated[float, Range(most=1, above=0)] = 0.1,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.alpha, self.entropy, self.entropy_epochs = alpha, entropy, entropy_epochs
        self.momentum, self.share, self.variant = momentum, share, variant
        self.memory = Memory(epoch=0, known=False)

    def check(self, model: Model) -> None:
        """As in the base class; and there must be others to compare a modality with."""
        super().check(model)
        at_least_two(self, model)

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        device, fusion = next(model.parameters()).device, split(model).fusion
        for i, m in enumerate(model.modalities):
            empty = torch.zeros(fusion.classes, fusion.dims[m], device=device)
            self.register_buffer(f"prototypes_{i}", empty)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        base = super().loss(output, batch)
        if not self.memory["known"] or not (self.alpha or self.entropy):
            return base
        features = list(output.features.values())
        sims = [self.similarity(i, f) for i, f in enumerate(features)]  # logits (N, C) per modality
        slow, fast = self.coefficients(sims, batch.targets)
        extra = [F.cross_entropy(s, batch.targets) for s in sims]
        out = base + self.alpha * (slow * torch.stack(extra)).sum()
        # early epochs: the faster modality's predictions are kept uncertain
        if self.entropy and self.variant == "paper" and self.memory["epoch"] < self.entropy_epochs:
            each = [-(s.softmax(-1) * s.log_softmax(-1)).sum(-1).mean() for s in sims]
            out = out - self.entropy * (fast * torch.stack(each)).sum()
        return out

    def similarity(self, index: int, features: Tensor) -> Tensor:
        """Minus the Euclidean distance (N, C) to modality number `index`'s prototypes."""
        prototypes = getattr(self, f"prototypes_{index}")
        gap = features.float()[:, None] - prototypes[None]  # (N, C, D)
        return -gap.square().sum(-1).clamp_min(1e-12).sqrt()

    @torch.no_grad()
    def coefficients(self, sims: list[Tensor], targets: Tensor) -> tuple[Tensor, Tensor]:
        """slow and fast (M,) from similarities (N, C) per modality."""
        rows = torch.arange(len(targets))
        scores = [x.softmax(-1)[rows, targets].sum() for x in sims]
        s = world.sum(torch.stack(scores))  # (M,)
        others = (s.sum() - s) / (len(s) - 1)
        tiny = torch.finfo(s.dtype).tiny
        slow = (others / s.clamp_min(tiny) - 1).clamp(0, 1)
        fast = (s / others.clamp_min(tiny) - 1).clamp(0, 1)
        # released: the slower modality's term is fully on
        return (slow > 0).float() if self.variant == "released" else slow, fast

    @torch.no_grad()
    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Renew the prototypes, in evaluation mode; classes that do not occur keep theirs."""
        self.memory["epoch"] = epoch
        data = loaders.train.dataset
        count = min(len(data), max(1, round(self.share * len(data))))
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(epoch))
        device = next(model.parameters()).device
        kept: list[list[Tensor]] = [[] for _ in model.modalities]
        targets = []
        with evaluating(model):
            for batch in BatchLoader(data.subset(order[:count]), None):
                batch = batch.to(device)
                targets.append(batch.targets)
                for rows, f in zip(kept, model.encode(batch.inputs).values(), strict=True):
                    rows.append(f.float())
        y = torch.cat(targets)
        for i, rows in enumerate(kept):
            old, features = getattr(self, f"prototypes_{i}"), torch.cat(rows)
            hot = F.one_hot(y, len(old)).to(features)  # (N, C)
            n = hot.sum(0)[:, None]  # samples per class (C, 1)
            mean = hot.T @ features / n.clamp_min(1)  # class means (C, D)
            keep = self.momentum if self.memory["known"] else 0.0  # at first nothing is kept
            fresh = keep * old + (1 - keep) * mean
            # a class that was not drawn: the mean of all at first, then its old prototype
            missing = features.mean(0) if not self.memory["known"] else old
            setattr(self, f"prototypes_{i}", torch.where(n > 0, fresh, missing))
        self.memory["known"] = True
