"""`Method`: one training rule.

A method is a module, so heads, averages and snapshots it keeps are in its `state_dict` and a
resumed run is exact. The model is passed to each call and never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msam_lib._utils.arguments import checked, options_of
from msam_lib._utils.precision import full
from msam_lib.data.containers import Batch
from msam_lib.errors import UnsupportedSetting
from msam_lib.methods._gradients import backward, forget
from msam_lib.methods._ranks import averaged, one_step, refuse_wrapped
from msam_lib.methods.requirements import advice, capabilities
from msam_lib.models.base import Model, Output
from msam_lib.models.fusions.registry import FUSIONS
from msam_lib.tasks import CLASSIFICATION, Task

Logs = dict[str, float | Tensor]


class Method(nn.Module):
    """One training rule; override the least you need of `loss`, `modulate` and `differentiate`.

    Title, kind and search grid stand in the method's row of `msam_lib.catalogue`. The class
    attributes are the rest of its card, shown by `python -m msam_lib list methods`: `reference`,
    `passes` per step, `requires` (capabilities of the model, see `ADVICE`), `fusions` (the only
    ones it works with; empty for all), `modalities` (`"any"`, or the number it is defined for),
    `tasks`, `paper_options` ({data set: {option: value}} as published), `ordered` (the order of the
    modalities is part of the method), `caveat` (what its sources leave uncertain), `tabled` (False
    where they leave too much open for a table), `several_steps` (a batch takes several steps of the
    optimizer), `graph_use` (see `_compiled`) and `neutral` (options at which a step must equal
    joint training's).

    >>> from msam_lib.methods import build_method
    >>> build_method("sam", rho=0.1)
    SAM(rho=0.1)
    """

    reference: ClassVar[str] = ""
    passes: ClassVar[str] = "1 forward, 1 backward"
    requires: ClassVar[frozenset[str]] = frozenset()
    fusions: ClassVar[tuple[str, ...]] = ()
    modalities: ClassVar[str] = "any"
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    paper_options: ClassVar[dict[str, dict[str, Any]]] = {}
    ordered: ClassVar[bool] = False
    caveat: ClassVar[str] = ""
    tabled: ClassVar[bool] = True
    several_steps: ClassVar[bool] = False
    graph_use: ClassVar[str] = "once"
    neutral: ClassVar[dict[str, Any] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            checked(cls)

    def __init__(self) -> None:
        super().__init__()
        self.precision: torch.dtype | None = None  # autocast's, set by the Trainer
        self.clip_norm: float | None = None  # gradient clipping before the optimizer's step
        self.total_epochs: int | None = None  # of the whole run, set by the Trainer
        self.task: Task = CLASSIFICATION  # replaced by `setup`
        self.sync = "global"  # several ranks, two-pass methods: see `_perturbation.SecondPass`
        self._ready = False

    def check(self, model: Model) -> None:
        """Raise `UnsupportedSetting`, with advice, where the model lacks what this method needs."""
        refuse_wrapped(self, model)
        for need in sorted(self.needs() - capabilities(model)):
            raise UnsupportedSetting(f"{self!r} {advice(need, model)}.")
        fusion = type(getattr(getattr(model, "fusion", None), "inner", None))
        if self.fusions and fusion not in {FUSIONS[f] for f in self.fusions}:
            raise UnsupportedSetting(
                f"{self!r} works with fusion {' or '.join(map(repr, self.fusions))} only; the "
                f"model has {fusion.__name__}. Build the model with fusion={self.fusions[0]!r}."
            )
        names = tuple(model.modalities)
        if self.modalities != "any" and len(names) != int(self.modalities):
            raise UnsupportedSetting(
                f"{self!r} is defined for {self.modalities} modalities; the model has "
                f"{len(names)}: {', '.join(names)}. Choose {self.modalities} of them "
                f"(modalities={names[: int(self.modalities)]}) or another method."
            )

    def needs(self) -> frozenset[str]:
        """The capabilities that these options need."""
        return self.requires

    def setup(self, model: Model, task: Task | None = None) -> None:
        """Called once before training: checks model and task (None is classification), and makes
        heads or buffers where there are any.

        Raises:
            UnsupportedSetting: the model or the task is none that this method is defined for.
        """
        self.task = task or CLASSIFICATION
        if self.task.kind not in self.tasks:
            raise UnsupportedSetting(
                f"{self!r} is defined for {' and '.join(self.tasks)}; the task is {self.task!r}. "
                f"Take a method for {self.task.kind}: `python -m msam_lib list methods` names them."
            )
        self.check(model)
        self._ready = True

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """The training loss, a scalar: the task's, of the fused logits, not in half precision."""
        return self.task.loss(full(output.logits), batch.targets)

    def unimodal_losses(self, output: Output, batch: Batch) -> list[Tensor]:
        """The base class's `loss` of each modality's own logits."""
        return [Method.loss(self, Output(z), batch) for z in output.unimodal.values()]

    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        """Edit the gradients in place, after backward and before the optimizer's step."""

    def step(self, model: Model, batch: Batch | Sequence[Batch], optimizer: Optimizer) -> Logs:
        """One training step: `compute_gradients`, then `update`. Returns what to log.

        Args:
            model: in training mode.
            batch: a batch; or a list of micro-batches, which stand for one batch of all their
                samples and need the memory of the largest of them (see `models.micro_batches`).
            optimizer: any that steps without a closure, over the model's parameters (and the
                method's own, where it has any).

        Raises:
            UnsupportedSetting: the optimizer needs a closure, or gradients are sparse.
        """
        with one_step(self, model, batch, optimizer) as whole:
            self.prepare(model, optimizer)
            return averaged(self.take_steps(model, whole, optimizer))

    def compute_gradients(
        self, model: Model, batch: Batch | Sequence[Batch], optimizer: Optimizer | None = None
    ) -> Logs:
        """The first half of a step: every `.grad` is what the optimizer is to follow.

        For a trainer that steps the optimizer itself. The second half is `update`, which also clips
        and steps what belongs to the method; `optimizer.step()` does for a method that has neither.

        Args:
            model, batch: as in `step`.
            optimizer: for methods that look into it (momentum, learning rate); it makes no step.

        Raises:
            UnsupportedSetting: the method takes several optimizer steps per batch, or looks into an
                optimizer and got none.
        """
        if self.several_steps:
            raise UnsupportedSetting(
                f"{self!r} takes several optimizer steps per batch, so it has no first half. Call "
                "step(model, batch, optimizer)."
            )
        with one_step(self, model, batch, optimizer) as whole:
            self.prepare(model, optimizer)
            return averaged(self.differentiate(model, whole, optimizer))

    def take_steps(self, model: Model, batch: Batch, optimizer: Optimizer) -> Logs:
        """Gradients and update, with everything prepared; overridden where a batch takes several
        optimizer steps.
        """
        logs = self.differentiate(model, batch, optimizer)
        self.update(model, optimizer)
        return logs

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """Put the gradients to follow into `.grad`: forward, backward, modulate."""
        output, loss = self.compute(model, batch)
        backward(loss)
        self.modulate(model, output, batch)
        return {"loss": loss.detach()}

    def given(self, optimizer: Optimizer | None) -> Optimizer:
        """The optimizer, for a method that looks into it.

        Raises:
            UnsupportedSetting: none was given.
        """
        if optimizer is None:
            raise UnsupportedSetting(
                f"{self!r} looks into the optimizer, and got none. Call "
                "compute_gradients(model, batch, optimizer)."
            )
        return optimizer

    def prepare(self, model: Model, optimizer: Optimizer | None) -> None:
        """The beginning of every step: set up if that has not happened, forget old gradients."""
        if not self._ready:
            self.setup(model)
        if optimizer is None:
            forget(model)
            forget(self)
        else:
            optimizer.zero_grad(set_to_none=True)

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """Forward pass and loss, in the precision that was chosen."""
        with self.autocast(batch):
            output = model(batch.inputs)
            return output, self.loss(output, batch)

    def update(self, model: Model, optimizer: Optimizer) -> None:
        """The end of every step: clip where asked, then the optimizer's step."""
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), self.clip_norm)
        optimizer.step()

    def autocast(self, batch: Batch) -> AbstractContextManager:
        """Automatic mixed precision where the Trainer switched it on."""
        if self.precision is None:
            return nullcontext()
        return torch.autocast(batch.targets.device.type, dtype=self.precision)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Called before each epoch."""

    def on_epoch_end(self, model: Model, epoch: int, loaders: Any, history: Any) -> None:
        """Called after each epoch's evaluation."""

    def predict(self, model: Model, batch: Batch) -> Tensor:
        """Fused logits (N, C) at test time."""
        return model(batch.inputs).logits

    @classmethod
    def options(cls) -> dict[str, Any]:
        """{option: default} of the constructor."""
        return {name: option.default for name, option in options_of(cls).items()}

    def __repr__(self) -> str:
        changed = {k: getattr(self, k) for k, v in self.options().items() if getattr(self, k) != v}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in changed.items())})"
