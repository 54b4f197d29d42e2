"""AUG: classifiers that grow where a modality lags behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib._utils.options import AtLeastZero, Choice, Count, Positive, WholeNumber
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import backward
from msam_lib.methods._state import OwnOptimizer
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, summed
from msam_lib.models.multimodal import split

if TYPE_CHECKING:
    from torch.optim import Optimizer

VARIANTS = ("paper", "released")
PUBLISHED_EPOCHS = 200


class AUG(Method):
    r"""Classification ability rebalanced by growing classifiers (Jiang, Huang, Yang, NeurIPS 2025).

    Modality $m$ is classified by $z_m = \sum_l \mathrm{out}(\mathrm{embed}_{ml}(h_m))$: a shared
    linear `out` on one or more embeddings of its features. Modalities take turns within each batch.
    With extra embeddings,

    $$\mathcal L_m = \mathrm{CE}(z_m) + \mathrm{CE}(z_m \text{ without the last})
    + \operatorname*{mean}_i\, (1 - s_i / 2)\, \mathrm{CE}_i(\text{last}),$$

    $s_i$ the true class' probability without the last one: it learns what is left. After the first
    epoch and then every `period` epochs the weakest modality gets one more embedding, if the mean
    score of the others (sum of true-class probabilities over the last epoch) is more than
    $\lambda + 0.01$ times its own. Prediction: the weighted sum of the $z_m$.

    Changes: the loss. Requires: features. The classifiers are the method's own, with an SGD of
    their own; beside them the model's fusion is trained on detached features, so that its unimodal
    accuracies and contributions show what the encoders have learnt. In the released code the added
    embeddings never reach the optimizer (`variant="released"`). It is written for two modalities:
    with $r$ the first one's score over the second one's, the second grows where
    $r > \lambda + 0.01$, the first where $r < \lambda - 0.01$. Here the second's rule holds for
    each, against the others' mean (for $\lambda = 1$ the bounds differ by 1e-4). In a bare loop
    nothing grows. Late fusion only: the prediction is the method's own sum, whatever the model's
    fusion.

    Args:
        lam: $\lambda$, the tolerated ratio.
        period: epochs between two decisions; by default a tenth of the run, as released (20 where
            no Trainer says how long the run is).
        largest: extra embeddings per modality, at most; the default is all that the released rule
            can add.
        hidden: size of the embeddings.
        classifier_lr: of the classifiers (momentum 0.9, no weight decay), the published one.
        weights: {modality: weight} of the prediction; equal by default.
        variant: see above.
    """

    reference = "Jiang et al., NeurIPS 2025"
    several_steps = True
    passes = "1 forward, 1 backward; M + 1 optimizer steps"
    requires = frozenset({"features", "separate_encoders"})
    fusions = ("late",)
    ordered = True
    caveat = "written after the released code's description; the paper's text was not at hand"
    paper_options: ClassVar = {
        "CREMA-D (released)": {"weights": {"audio": 0.4, "visual": 0.6}, "hidden": 256}
    }

    layers: Tensor
    sums: Tensor

    def __init__(
        self,
        lam: Positive = 1.0,
        period: Count | None = None,
        largest: WholeNumber = 11,
        hidden: Count = 64,
        classifier_lr: Positive = 0.01,
        weights: Mapping[str, AtLeastZero] | None = None,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.lam, self.period, self.largest = lam, period, largest
        self.hidden, self.classifier_lr = hidden, classifier_lr
        self.weights, self.variant = weights, variant
        self.register_buffer("layers", torch.zeros(0, dtype=torch.long))
        self.register_buffer("sums", torch.zeros(0))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        fusion = split(model).fusion
        dims, classes = fusion.dims, fusion.classes
        device = next(model.parameters()).device
        with torch.random.fork_rng():  # of a seed of its own: the run draws what it always drew
            torch.manual_seed(0)
            self.out = nn.Linear(self.hidden, classes)
            self.embeddings = nn.ModuleList(
                nn.ModuleList(nn.Linear(dims[m], self.hidden) for _ in range(1 + self.largest))
                for m in model.modalities
            )
        self.out.to(device), self.embeddings.to(device)
        own = [*self.out.parameters(), *self.embeddings.parameters()]
        self.own = OwnOptimizer(torch.optim.SGD(own, lr=self.classifier_lr, momentum=0.9))
        self.layers = torch.zeros(len(dims), dtype=torch.long)
        self.sums = torch.zeros(len(dims), device=device)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """One more embedding for a modality that lags behind, where it is time to look."""
        period = self.period or max(1, (self.total_epochs or PUBLISHED_EPOCHS) // 10)
        if epoch == 1 or (epoch > 0 and epoch % period == 0):
            others = (self.sums.sum() - self.sums) / (len(self.sums) - 1)  # their mean score (M,)
            ratio = others / self.sums.clamp_min(1e-12)
            weakest = int(ratio.argmax())  # the one furthest behind the others
            if float(ratio[weakest]) > self.lam + 0.01:
                grown = self.layers.clone()
                grown[weakest] = min(self.largest, int(grown[weakest]) + 1)
                self.layers = grown
        self.sums = torch.zeros_like(self.sums)  # scores of the coming epoch

    def terms(self, index: int, features: Tensor) -> list[Tensor]:
        """The logits (N, C) of every active embedding of modality number `index`."""
        active = self._embeddings(index)[: 1 + int(self.layers[index])]
        return [self.out(F.relu(e(features))) for e in active]

    def _embeddings(self, index: int) -> list[nn.Module]:
        return list(self.embeddings[index].children())

    def loss_of(self, terms: list[Tensor], targets: Tensor) -> Tensor:
        """L_m from a modality's terms."""
        whole = sum(terms[1:], terms[0])
        loss = F.cross_entropy(whole, targets)
        if len(terms) == 1:
            return loss
        # the last embedding learns what the ones before it leave
        old, last = whole - terms[-1], terms[-1]
        known = old.detach().softmax(-1)[torch.arange(len(targets)), targets]  # s_i (N,)
        each = F.cross_entropy(last, targets, reduction="none")
        return loss + F.cross_entropy(old, targets) + ((1 - known / 2) * each).mean()

    def take_steps(self, model: Model, batch: Batch, optimizer: Optimizer) -> Logs:
        """Every modality in turn, then the model's own fusion on what the encoders gave."""
        with self.autocast(batch):
            features = model.encode(batch.inputs)
        losses: dict[str, Tensor] = {}
        for i, (m, h) in enumerate(features.items()):
            optimizer.zero_grad(set_to_none=True)
            self.own.optimizer.zero_grad(set_to_none=True)
            terms = self.terms(i, h.float())
            losses[m] = self.loss_of(terms, batch.targets)
            share = summed(terms).detach().softmax(-1)  # for the rule of growth
            self.sums[i] += world.sum(share[torch.arange(len(share)), batch.targets].sum())
            backward(losses[m])
            # released: added embeddings stay as they were drawn
            if self.variant == "released":
                for extra in self._embeddings(i)[1:]:
                    for p in extra.parameters():
                        p.grad = None
            self.update(model, optimizer)
            self.own.optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with self.autocast(batch):
            # the fusion watches: it learns, and no gradient reaches the encoders
            detached = {m: h.detach() for m, h in features.items()}
            fused = self.loss(model.fuse(detached), batch)
        backward(fused)
        self.update(model, optimizer)
        total = summed(v.detach() for v in losses.values()) / len(losses)
        return {"loss": total, "fused": fused.detach()} | {
            f"layers/{m}": float(n) for m, n in zip(losses, self.layers, strict=True)
        }

    def predict(self, model: Model, batch: Batch) -> Tensor:
        """The weighted sum of the modalities' logits."""
        features = model.encode(batch.inputs)
        given = self.weights or {}
        return summed(
            float(given.get(m, 0.0 if given else 1.0)) * summed(self.terms(i, h.float()))
            for i, (m, h) in enumerate(features.items())
        )
