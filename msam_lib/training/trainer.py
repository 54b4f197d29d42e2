"""`Trainer`: the only training loop of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from msam_lib._utils.arguments import check_arguments, checked
from msam_lib._utils.options import Count
from msam_lib._utils.progress import progress_bar
from msam_lib._utils.reproducibility import pick_device, pick_precision
from msam_lib._utils.world import world
from msam_lib.data.containers import DataSplits
from msam_lib.errors import NonFiniteLoss
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model
from msam_lib.training._step_logs import StepLogs
from msam_lib.training.checkpoints import read_checkpoint, write_checkpoint
from msam_lib.training.evaluate import Row, evaluate
from msam_lib.training.history import History, Record
from msam_lib.training.loaders import Loaders
from msam_lib.training.runs import Run

OnStep = Callable[[int, Logs], None]
Probe = Callable[[nn.Module, int, Loaders], Iterable[Row]]


@checked
class Trainer:
    """Trains a model with a method, measures after each epoch, keeps a run directory, resumes it.

    Under `torchrun`, with `torch.distributed` initialised, every rank makes the same Trainer and
    gets its rows of each batch; the result is that of one process. Every rank measures all samples,
    the first one writes the run directory, and a run is resumed with as many ranks. Batch
    normalisation takes the statistics of a rank's rows, and its running statistics become the first
    rank's after each epoch: build the model without it where the number of ranks must not matter.

    Args:
        model: a `MultimodalModel`, or any module through `wrap`.
        method: the training rule.
        loaders: see `Loaders.of`; a loaded data set is taken with its defaults.
        optimizer: over the model's parameters.
        scheduler: stepped after each optimizer step.
        probes: called as `probe(model, epoch, loaders)` after each epoch, or every `probe.every`
            epochs where it has that attribute; the rows they return are kept with split `"probe"`.
        run: where to keep everything; `fit` resumes from its checkpoint.
        device: `"auto"` takes cuda, else mps, else cpu.
        precision: `"auto"`, `"float32"` or `"bfloat16"` (automatic mixed precision; no loss scaling
            needed).
        progress: show a bar where somebody watches.
        label: the bar's description.
        on_step: called as `on_step(steps, logs)` after every step. An exception that it raises
            ends `fit`; with a run directory, the next `fit` resumes from the last whole epoch.
    """

    def __init__(
        self,
        model: Model,
        method: Method,
        loaders: Loaders | DataSplits,
        *,
        optimizer: Optimizer,
        scheduler: LRScheduler | None = None,
        probes: Sequence[Probe] = (),
        run: Run | None = None,
        device: str | torch.device = "auto",
        precision: str = "auto",
        progress: bool = True,
        label: str = "",
        on_step: OnStep | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.model, self.method = model.to(self.device), method
        self.loaders = Loaders.of(loaders) if isinstance(loaders, DataSplits) else loaders
        self.optimizer, self.scheduler, self.probes, self.run = optimizer, scheduler, probes, run
        self.progress, self.label = progress, label or repr(method)
        self.on_step = on_step
        method.precision = pick_precision(precision, self.device)
        if not method._ready:
            method.setup(model)
        method.to(self.device)
        # Several ranks: each its rows of every batch; the first one writes.
        self.loaders.train.rank, self.loaders.train.ranks = world.rank, world.size
        self.history = run.history() if run is not None and world.first else History()
        self.epoch = self.steps = 0
        self._floors: dict[str, Row] = {}

    def fit(self, epochs: Count) -> History:
        """Train until `epochs` epochs are done in all, going on from the run's checkpoint if it has
        one.

        Raises:
            NonFiniteLoss: where the loss is NaN or infinite; what came before is kept.
            RunBusy: another process is training this run.
            RunDamaged: a file of the run is not what was written.
            CannotWrite: the disk is full, or the run directory cannot be written.
        """
        check_arguments(Trainer.fit, {"epochs": epochs})
        with self.run.lock() if self.run is not None and world.first else nullcontext():
            return self._fit(epochs)

    def _fit(self, epochs: int) -> History:
        self.method.total_epochs = epochs
        # After an interruption in the middle of an epoch, the state of this object is of no use.
        self._resume()
        self.history.records = world.from_first(self.history.records)
        # Nothing to resume: epoch 0 is the measurement before training.
        if self.epoch == 0:
            self.history.keep_until(-1)
            self._measure({})
        show = self.progress and world.first
        total = (epochs - self.epoch) * len(self.loaders.train)
        try:
            with progress_bar(total=max(0, total), show=show, desc=self.label) as bar:
                while self.epoch < epochs:
                    self._epoch(bar)
        except KeyboardInterrupt:
            kept = (
                "nothing was kept (no run directory)"
                if self.run is None
                else f"kept in {self.run.path}"
            )
            print(
                f"Interrupted after epoch {self.epoch}; {kept}. The same call resumes from there."
            )
            raise
        if self.run is not None and world.first:
            # The mark comes last: a finished run always has its model.
            self.run.save("model.pt", self.model.state_dict())
            self.run.mark_done(self.history)
        world.barrier()
        return self.history

    def _epoch(self, bar: Any) -> None:
        self.model.train()
        # Batches in the order of this epoch, also after an interruption.
        self.loaders.train.set_epoch(self.epoch)
        self.method.on_epoch_start(self.model, self.epoch, self.loaders)
        world.agree(self.model, self.method)
        steps = StepLogs(self.device)
        for batch in self.loaders.train:
            logs = self.method.step(self.model, batch.to(self.device), self.optimizer)
            steps.add(logs)
            self._check_loss(steps.bad_loss())
            if self.scheduler is not None:
                self.scheduler.step()
            self.steps += 1
            bar.update()
            if self.on_step is not None:
                self.on_step(self.steps, logs)
        self._check_loss(steps.bad_loss(last=True))
        self.epoch += 1
        world.agree(self.model, self.method)
        # What the steps logged enters as its mean over the epoch.
        self._measure(steps.means())
        self.method.on_epoch_end(self.model, self.epoch, self.loaders, self.history)
        world.agree(self.model, self.method)
        # After all measurements: an epoch is resumed from only when its rows exist.
        self._checkpoint()
        bar.set_postfix_str(self._postfix(), refresh=False)

    def _check_loss(self, bad: float | None) -> None:
        """Stop where a loss is not finite, so that the last whole epoch's checkpoint stays."""
        if bad is not None:
            where = f"in epoch {self.epoch + 1}, step {self.steps + 1}"  # or shortly before
            self._refuse(f"The loss became {bad} {where}", self.epoch)

    def _refuse(self, what: str, whole: int) -> NoReturn:
        """Stop with what happened and how many epochs are whole."""
        before = self.history.last("loss", split="step")
        kept = f" Everything up to epoch {whole} is kept in {self.run.path}." if self.run else ""
        raise NonFiniteLoss(
            f"{what} (training loss of the epoch before: {before:.4g}) with {self.method!r}.{kept} "
            "Try a smaller learning rate or radius, clip_norm=1.0, or look for NaN in the inputs."
        )

    def _measure(self, logs: Mapping[str, float]) -> None:
        """Rows of this epoch: what the steps logged (split `"step"`), every split, and the
        probes.
        """
        rows = [("step", *_logged(key, value)) for key, value in logs.items()]
        for split, data in self.loaders.evaluation.items():
            per_class = split == "test"
            try:
                measured = evaluate(self.model, data, method=self.method, per_class=per_class)
            except NonFiniteLoss as error:
                self._refuse(f"After epoch {self.epoch}, on {split}: {error}", self.epoch - 1)
            rows += [(split, *row) for row in (*measured, self._floor(split))]
        for probe in self.probes:
            if self.epoch % getattr(probe, "every", 1) == 0:
                rows += [("probe", *row) for row in probe(self.model, self.epoch, self.loaders)]
        self.history.extend(Record(self.epoch, self.steps, *row) for row in rows)

    def _floor(self, split: str) -> Row:
        """The row of what the best answer that ignores its input reaches on a split."""
        if split not in self._floors:
            task, train = self.method.task, self.loaders.train.dataset.targets
            value = task.floor(train, self.loaders.evaluation[split].targets)
            self._floors[split] = Row("fused", f"{task.headline}_floor", value)
        return self._floors[split]

    def _postfix(self) -> str:
        names, task = self.model.modalities, self.method.task
        metric, last = task.headline, self.history.last
        own = ", ".join(f"{m} {task.shown(last(metric, modality=m), short=True)}" for m in names)
        shares = {m: last("contribution", modality=m) for m in names}
        leader = max(shares, key=lambda m: shares[m])
        return f"{metric} {task.shown(last(metric))} ({own}) · dominant {leader}"

    @property
    def _parts(self) -> dict[str, Any]:
        """Everything whose state a checkpoint holds."""
        names = ("model", "method", "optimizer", "scheduler")
        return {name: getattr(self, name) for name in names}

    def _checkpoint(self) -> None:
        if self.run is not None and world.first:
            counts = {"epoch": self.epoch, "steps": self.steps, "ranks": world.size}
            write_checkpoint(self.run, self.history, self._parts, self.device, **counts)
        world.barrier()

    def _resume(self) -> None:
        if self.run is None:
            return
        state = read_checkpoint(self.run, self.history, self._parts, self.device)
        if state is not None:
            self.epoch, self.steps = state["epoch"], state["steps"]


def _logged(key: str, value: float) -> tuple[str, str, float]:
    """`"share/x1"` is metric share of modality x1; a key without a slash belongs to the whole
    model.
    """
    metric, _, modality = key.partition("/")
    return modality or "fused", metric, value
