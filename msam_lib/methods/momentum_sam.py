"""Momentum-SAM: the perturbation of SAM taken from the optimizer's momentum, at no extra pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msam_lib._utils.options import AtLeastZero, Choice
from msam_lib.data.containers import Batch
from msam_lib.errors import UnsupportedSetting
from msam_lib.methods._gradients import backward, trainable
from msam_lib.methods._perturbation import ascent, displaced, momentum_of
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer

SIGNS = {"minus": -1.0, "plus": 1.0}


class MomentumSAM(Method):
    r"""Momentum-SAM (Becker, Altrock, Risse, 2024, arXiv 2401.12033): one pass per step.

    The gradient is taken at $\theta - \rho\, v / \lVert v \rVert$, $v$ the optimizer's momentum
    (the running mean of gradients, so minus $v$ points downhill); the step is made from $\theta$.
    The first step has no momentum and is a plain one.

    Changes: the point at which the gradient is taken. Requires: an optimizer with momentum. The
    released code stores the weights displaced and has to move them back before an evaluation; here
    they are back after every step. Without weight decay that is the same update; with it, the
    released code decays the displaced weights, where here the weights themselves decay.

    Args:
        rho: length of the displacement; 0 is joint training.
        sign: `"minus"` as above; `"plus"` climbs along $v$, as `msam` with `ascent="momentum"`
            does.
    """

    tasks = KINDS
    reference = "Becker et al., 2024, arXiv 2401.12033"
    neutral: ClassVar = {"rho": 0.0}
    paper_options: ClassVar = {"CIFAR-100 (released default)": {"rho": 0.3}}

    def __init__(
        self,
        rho: AtLeastZero = 0.3,
        sign: Annotated[str, Choice(SIGNS)] = "minus",
    ) -> None:
        super().__init__()
        self.rho, self.sign = rho, sign

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """One pass at the displaced weights, one optimizer step from the weights themselves."""
        optimizer = self.given(optimizer)
        parameters = trainable(model)
        found = [(p, momentum_of(optimizer, p)) for p in parameters]
        moving = [(p, v) for p, v in found if v is not None]
        # it has made steps, and still has no momentum
        if not moving and any(optimizer.state.get(p) for p in parameters):
            raise UnsupportedSetting(
                f"{self!r} needs an optimizer with momentum; {type(optimizer).__name__} keeps "
                "none. Use SGD with momentum > 0, or AdamW."
            )
        # the first step has no momentum yet: a plain one
        eps = ascent([v for _, v in moving], SIGNS[self.sign] * self.rho) if moving else []
        with displaced([p for p, _ in moving], eps):
            _, loss = self.compute(model, batch)
            backward(loss)
        return {"loss": loss.detach()}
