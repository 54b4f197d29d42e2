"""MLA: one shared head, learnt by one modality after the other without forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib._utils.options import AtLeastZero, Choice
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.errors import UnsupportedSetting
from msam_lib.methods._gradients import backward
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, summed
from msam_lib.models.fusions.additive import LateFusion
from msam_lib.models.multimodal import split

if TYPE_CHECKING:
    from torch.optim import Optimizer

GATES = ("entropy", "fixed")
VARIANTS = ("paper", "released")


class MLA(Method):
    r"""Multimodal learning with alternating unimodal adaptation (Zhang et al., CVPR 2024, arXiv
    2311.10707).

    For each batch and each modality in turn: cross-entropy of the *shared* head on its features, a
    backward pass, and an optimizer step of its encoder and the head. The head's gradient is first
    projected, $\nabla W \leftarrow \nabla W P^\top$, with $P$ updated by recursive least squares
    from the batch's mean feature $r$, so that the head does not unlearn the modality before:

    $$P \leftarrow P - \frac{(P r)(P r)^\top}{a + r^\top P r},$$
    $$a = 0.1^{\,1 + \text{batch} / \text{batches}}.$$

    The present modality's $r$ enters $P$ before $P$ projects that modality's own gradient. $P$
    never recovers, it only shrinks, so the head learns less and less:
    $\lVert \nabla W P^\top \rVert / \lVert \nabla W \rVert$ fell from 0.57 to 0.10 within 12
    epochs. Watch `projection_norm` in the logs.

    At test time logits are added with weights that favour the modality with the lower entropy,
    $w_m \propto \exp(\max H - H_m)$, sample by sample.

    The shared head is the model's own: the heads of late fusion are kept equal, so its unimodal
    logits and coalitions are MLA's.

    Changes: the gradient. Requires: late fusion, features of equal size. The released code never
    projects: its function looks for a parameter called "module.weight" in a head whose parameters
    are called "weight" and "bias", and so does nothing. `variant="released"` is therefore without a
    projection. (That function also divides element by element by $a + (P r)\, r^\top$, which leaves
    $P$ unsymmetric, then $P$ by its norm.) The released gate takes one weight per modality for a
    whole test batch, which makes a prediction depend on its neighbours; it is in neither variant.

    Args:
        gate: `"entropy"` as above, or `"fixed"`.
        weights: {modality: weight} of the fixed gate; equal by default.
        variant: `"paper"`, or `"released"` without the projection.
    """

    reference = "Zhang et al., CVPR 2024, arXiv 2311.10707"
    several_steps = True
    passes = "1 forward, 1 backward; M steps of the head"
    requires = frozenset({"unimodal_logits", "features", "separate_encoders"})
    fusions = ("late",)
    ordered = True
    caveat = (
        "the paper's projection only shrinks, so the shared head stops learning in a long run "
        "(the log projection_norm shows it); the published numbers were made without it"
    )
    paper_options: ClassVar = {
        "CREMA-D (released)": {"gate": "fixed", "weights": {"audio": 0.55, "visual": 0.45}},
        "IEMOCAP (released)": {
            "gate": "fixed",
            "weights": {"audio": 0.35, "visual": 0.25, "text": 0.4},
        },
    }

    projection: Tensor

    def __init__(
        self,
        gate: Annotated[str, Choice(GATES)] = "entropy",
        weights: Mapping[str, AtLeastZero] | None = None,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.gate, self.weights, self.variant = gate, weights, variant
        self.memory = Memory(batch=0, batches=0)
        self.register_buffer("projection", torch.zeros(0, 0))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        dims = split(model).fusion.dims
        if len(set(dims.values())) != 1:
            raise UnsupportedSetting(
                f"{self!r} shares one head, so features need one size; they have {dims}. Give the "
                "encoders the same output size."
            )
        heads = _heads(model)
        self.projection = torch.eye(next(iter(dims.values()))).to(heads[0].weight)
        _tie(heads)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """For a's way down over the batches of an epoch."""
        self.memory["batch"], self.memory["batches"] = 0, len(loaders.train)

    def take_steps(self, model: Model, batch: Batch, optimizer: Optimizer) -> Logs:
        """One forward pass of all encoders, then a step per modality."""
        heads = _heads(model)
        shared = heads[0]
        with self.autocast(batch):
            features = model.encode(batch.inputs)
        losses: dict[str, Tensor] = {}
        kept: list[Tensor] = []
        # all features are of the weights before the first modality's step
        for m, h in features.items():
            optimizer.zero_grad(set_to_none=True)
            with self.autocast(batch):
                losses[m] = F.cross_entropy(shared(h).float(), batch.targets)
            backward(losses[m])
            if self.variant == "paper":
                # the head only: encoders follow their own gradient
                kept.append(self._project(shared.weight, h.detach()))
            self.update(model, optimizer)
            _tie(heads)  # the step has moved the first head
        self.memory["batch"] += 1
        total = summed(v.detach() for v in losses.values()) / len(losses)
        logs: Logs = {f"loss/{m}": v.detach() for m, v in losses.items()}
        if kept:
            logs["projection_norm"] = summed(kept) / len(kept)
        return {"loss": total} | logs

    @torch.no_grad()
    def _project(self, weight: Tensor, features: Tensor) -> Tensor:
        """Update P from features (N, D), then grad W <- grad W P^T. Returns the share of the
        gradient's norm that is left.
        """
        r = world.mean(features.to(self.projection).mean(0))  # (D,)
        share = self.memory["batch"] / max(1, self.memory["batches"])
        a = 0.1 ** (1 + min(1.0, share))  # from 0.1 down to 0.01 within an epoch
        k = self.projection @ r  # P r
        # recursive least squares: P shrinks along r
        self.projection = self.projection - torch.outer(k, k) / (a + r @ k)
        if weight.grad is None:  # frozen
            return torch.ones_like(r[0])
        before = weight.grad.norm()
        weight.grad = weight.grad @ self.projection.T
        return weight.grad.norm() / before.clamp_min(torch.finfo(before.dtype).tiny)

    def predict(self, model: Model, batch: Batch) -> Tensor:
        """Gated sum of the unimodal logits."""
        own = model(batch.inputs).unimodal
        z = torch.stack(list(own.values()))  # (M, N, C)
        if self.gate == "fixed":
            given = self.weights or {}
            # without any weights all count 1, else those not named 0
            w = torch.tensor([float(given.get(m, 0.0 if given else 1.0)) for m in own]).to(z)
            return (w[:, None, None] * z).sum(0)
        return (entropy_gate(z)[..., None] * z).sum(0)


def entropy_gate(logits: Tensor) -> Tensor:
    """Weights (M, N) of logits (M, N, C): exp(max_m H - H_m), normalised over the modalities."""
    p = logits.float().softmax(-1)
    entropy = -(p * logits.float().log_softmax(-1)).sum(-1)  # (M, N)
    # softmax(-H) is exp(max H - H), normalised
    return (-entropy).softmax(0).to(logits)


def _heads(model: Model) -> list[nn.Linear]:
    """The heads of late fusion, in order; `fusions` has made sure that it is late fusion."""
    fusion = split(model).fusion
    heads = fusion.heads.values() if isinstance(fusion, LateFusion) else ()
    return [h for h in heads if isinstance(h, nn.Linear)]


@torch.no_grad()
def _tie(heads: list[nn.Linear]) -> None:
    """Every head equals the first."""
    for h in heads[1:]:
        h.weight.copy_(heads[0].weight)
        h.bias.copy_(heads[0].bias)
