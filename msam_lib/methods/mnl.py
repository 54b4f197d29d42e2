"""MNL: sample by sample, the modality that knows better guides the other one."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib._utils.options import AtLeastZero
from msam_lib.data.containers import Batch
from msam_lib.methods.base import Method, Task
from msam_lib.models.base import Model, Output
from msam_lib.models.multimodal import split


class MNL(Method):
    r"""Multimodal negative learning (Gong et al., NeurIPS 2025).

    $\mathcal L = \mathrm{CE}(\text{fused}) + \sum_m \mathrm{CE}(z_m) + \text{guidance}$. With $j$
    the most probable wrong class of the fused logits and the margins $\xi_m = z_m[y] - z_m[j]$,
    modality $a$ guides $b$ on the samples with $\xi_a > \xi_b$ and $p_a[y] > p_b[y]$. There

    $$\text{guidance}
    = \operatorname*{mean}_{\text{batch, classes}} -(y + \lambda\, p_a\, (1 - y)) \log q_b,$$

    $y$ one-hot, $p_a = \mathrm{softmax}\, z_a$ without gradient, $q_b = \mathrm{softmax}\, z_b$:
    $b$ learns how $a$ ranks the wrong classes. With $M$ modalities $b$'s guidance is the mean over
    its $M - 1$ possible guides (for $M = 2$ the paper's).

    Changes: the loss. Requires: per-modality logits. The fused logits of an additive fusion are
    averaged, as in the released code, not summed. The guidance acts from the first step on: neither
    the released code nor this one has a warm-up stage. Of equals the released code lets the second
    modality guide, here none does.

    Args:
        lam: $\lambda$, weight of the wrong classes.
        guidance: weight of the guidance term.
    """

    reference = "Gong et al., NeurIPS 2025"
    requires = frozenset({"unimodal_logits"})
    caveat = "written after the released code; the paper's equations were not at hand"
    paper_options: ClassVar = {"MVSA": {"lam": 0.7}}

    def __init__(self, lam: AtLeastZero = 0.7, guidance: AtLeastZero = 1.0) -> None:
        super().__init__()
        self.lam, self.guidance = lam, guidance
        self.additive = True

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        self.additive = split(model).fusion.additive

    def loss(self, output: Output, batch: Batch) -> Tensor:
        own = torch.stack([z.float() for z in output.unimodal.values()])  # (M, N, C)
        fused = output.logits.float() / (len(own) if self.additive else 1)
        each = [F.cross_entropy(z, batch.targets) for z in own]
        total = F.cross_entropy(fused, batch.targets) + sum(each)
        return total + self.guidance * self.guide(own, fused, batch.targets)

    def guide(self, own: Tensor, fused: Tensor, targets: Tensor) -> Tensor:
        """The guidance term from unimodal (M, N, C) and fused (N, C) logits."""
        m, n, c = own.shape
        rows, hot = torch.arange(n), F.one_hot(targets, c).bool()
        wrong = fused.detach().masked_fill(hot, -torch.inf).argmax(-1)  # (N,)
        p, log_q = own.detach().softmax(-1), own.log_softmax(-1)  # a guide gets no gradient
        margin = own.detach()[:, rows, targets] - own.detach()[:, rows, wrong]  # (M, N)
        sure = p[:, rows, targets]  # p[y] (M, N)
        # better[a, b, i]: a guides b on sample i
        better = (margin[:, None] > margin[None]) & (sure[:, None] > sure[None])  # (M, M, N)
        # y + lam p_a (1 - y): how the guide ranks the wrong classes
        soft = torch.where(hot, torch.ones_like(p), self.lam * p)  # (M, N, C), per guide
        # terms[a, b, i] = -sum_c soft_a log q_b for sample i
        terms = -torch.einsum("anc,bnc->abn", soft, log_q)
        # the mean over batch, classes and b's M - 1 possible guides
        return (terms * better).sum() / (n * c * max(1, m - 1))
