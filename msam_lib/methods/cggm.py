"""CGGM: small classifiers show how fast and in which direction each modality learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib._utils.options import AtLeastZero, Count, Positive
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import backward, gradients
from msam_lib.methods._state import OwnOptimizer
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model
from msam_lib.models.multimodal import split
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer


TINY = 1e-8  # a shorter gradient counts as this long, as in torch's cosine similarity


class CGGM(Method):
    r"""Classifier-guided gradient modulation (Guo et al., NeurIPS 2024, arXiv 2411.01409).

    A small classifier on the detached features of each modality, trained with an optimizer of its
    own, gives per step its gain in batch accuracy $D_m$. With $S = \sum_m D_m$ and
    $B_m = (S - D_m) / S$, the gradient of encoder $m$ is multiplied by $\text{scale} \cdot B_m$,
    and the loss gets

    $$\text{weight} \cdot \frac{1}{M} \sum_m \bigl( \lvert B_m \rvert - B_m \cos_m \bigr),$$

    $\cos_m$ the cosine between the directions in which the classifier and the fused loss pull.

    Changes: the gradient and the loss. Requires: features. The paper takes the cosine between
    gradients, the released code between the *weights* of output layers; here, between the gradients
    with respect to the features of $m$, which have one shape under every fusion. $S$ is near 0 or
    negative at many steps ($B$ up to $10^7$, or of the wrong sign), which neither paper nor code
    handles: $B$ is kept between 0 and `bound`. So where batch accuracies go up and down rather than
    rise, about half of the steps freeze an encoder ($B = 0$): with two modalities whenever the two
    gains differ in sign. At the first step there is no gain, and $B = 1$; the released code takes
    the accuracies before as 0, which gives $B = 1/2$ for two modalities that are equally good. The
    released code adds the term to the next step's loss; here it enters the same step's.

    Args:
        scale: of the modulation, the paper's $\rho$.
        weight: $\lambda$, of the direction term.
        bound: largest $B_m$.
        hidden: width of the classifiers' one hidden layer (the paper uses two Transformer layers).
        classifier_lr: of their Adam.
    """

    tasks = KINDS
    reference = "Guo et al., NeurIPS 2024, arXiv 2411.01409"
    passes = "1 forward, 1 backward; once more through the fusion and the classifiers"
    requires = frozenset({"features", "trained_encoders"})
    caveat = "what to do where S is near 0 or negative is our choice, as is the cosine's argument"
    paper_options: ClassVar = {
        "MOSI": {"scale": 1.3, "weight": 0.2},
        "IEMOCAP": {"scale": 1.3, "weight": 0.2},
        "Food101": {"scale": 1.3, "weight": 0.05},
        "BraTS": {"scale": 1.0, "weight": 0.1},
    }

    accuracies: Tensor

    def __init__(
        self,
        scale: Positive = 1.3,
        weight: AtLeastZero = 0.2,
        bound: Positive = 2.0,
        hidden: Count = 64,
        classifier_lr: Positive = 5e-4,
    ) -> None:
        super().__init__()
        self.scale, self.weight, self.bound = scale, weight, bound
        self.hidden, self.classifier_lr = hidden, classifier_lr
        self.register_buffer("accuracies", torch.zeros(0))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        fusion = split(model).fusion
        dims, classes = fusion.dims, fusion.classes
        device = next(model.parameters()).device
        made = [self._classifier(dims[m], classes) for m in model.modalities]
        self.classifiers = nn.ModuleList(made).to(device)
        adam = torch.optim.Adam(self.classifiers.parameters(), lr=self.classifier_lr)
        self.own = OwnOptimizer(adam)
        self.accuracies = torch.full((len(dims),), torch.nan, device=device)  # NaN: none yet

    def _classifier(self, size: int, classes: int) -> nn.Module:
        """From a seed of its own: neither the run's random numbers nor the order play a part."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            first, last = nn.Linear(size, self.hidden), nn.Linear(self.hidden, classes)
        return nn.Sequential(first, nn.ReLU(), last)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """One step of the model, one of the classifiers."""
        output, loss = self.compute(model, batch)
        pull, accuracies = self._classifiers(output.features, batch)
        b = self.balance(accuracies)
        total = loss
        if self.weight:
            features = list(output.features.values())
            # with a graph: the cosine is trained
            found = gradients(loss, features, create_graph=True, over="rank")
            cosines = [cosine(f, c) for f, c in zip(found, pull, strict=True)]
            # direction: the fused loss is to pull as the classifiers do, where B_m is large
            total = loss + self.weight * (b.abs() - b * torch.stack(cosines)).mean()
        backward(total)
        for m, k in zip(model.modalities, b, strict=True):  # magnitude: the encoders' gradients
            for p in model.parameters_of(m):
                if p.grad is not None:
                    p.grad.mul_(self.scale * k)
        named = zip(model.modalities, self.scale * b, strict=True)
        return {"loss": loss.detach()} | {f"coefficient/{m}": k for m, k in named}

    def balance(self, accuracies: Tensor) -> Tensor:
        """B (M,) from this step's classifier accuracies; all 1 at the first step."""
        gain = accuracies - self.accuracies  # D_m
        self.accuracies = accuracies
        s = gain.sum()  # S
        nothing = s.abs() < 1e-6  # a sum of shares of the batch: zero up to rounding
        b = torch.where(nothing, torch.ones_like(gain), (s - gain) / s)
        # the first step has no accuracies before it: B = 1
        return torch.where(gain.isnan(), torch.ones_like(gain), b).clamp(0.0, self.bound)

    def _classifiers(
        self, features: dict[str, Tensor], batch: Batch
    ) -> tuple[list[Tensor], Tensor]:
        """Train them; their gradients with respect to the features, and their accuracies."""
        optimizer = self.own.optimizer
        optimizer.zero_grad(set_to_none=True)
        right, losses = [], []
        # they watch the encoders without training them
        detached = [f.detach().float().requires_grad_() for f in features.values()]
        for net, f in zip(self.classifiers, detached, strict=True):
            logits = net(f)
            losses.append(self.task.loss(logits, batch.targets))
            right.append(self.task.credit(logits, batch.targets).mean())
        backward(sum(losses[1:], losses[0]))
        # at the features, of one shape under every fusion
        pulls = [torch.zeros_like(f) if f.grad is None else f.grad for f in detached]
        optimizer.step()
        return pulls, world.mean(torch.stack(right))


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Of two gradients (N, D) of mean losses with respect to features, all samples as one vector;
    on several ranks the samples of all of them.
    """
    if world.part is None:
        return F.cosine_similarity(a.flatten(), b.flatten(), dim=0)
    # of the mean over all ranks' samples, a rank's loss has its share
    x, y = (world.share * v.flatten() for v in (a, b))
    dot, xx, yy = world.total(torch.stack([x @ y, x @ x, y @ y]))
    return dot / (xx.clamp_min(TINY**2) * yy.clamp_min(TINY**2)).sqrt()
