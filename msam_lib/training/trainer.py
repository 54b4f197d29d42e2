"""`Trainer`: the only training loop of the project."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from msam_lib._utils.arguments import check_arguments, checked
from msam_lib._utils.options import Count
from msam_lib._utils.progress import progress_bar
from msam_lib._utils.reproducibility import pick_device, pick_precision
from msam_lib.data.containers import DataSplits, MultimodalDataset
from msam_lib.data.loader import BatchLoader
from msam_lib.errors import NonFiniteLoss
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model
from msam_lib.training.evaluate import Row, evaluate
from msam_lib.training.history import History, Record
from msam_lib.training.runs import Run

OnStep = Callable[[int, Logs], None]
Probe = Callable[[nn.Module, int, "Loaders"], Iterable[Row]]


@dataclass(frozen=True)
class Loaders:
    """What a training reads: batches to train on, and the splits measured after each epoch.

    Args:
        train: mini-batches, shuffled by epoch.
        evaluation: {split: data set}; `"train"` here is a fixed part of the training split.
    """

    train: BatchLoader
    evaluation: Mapping[str, MultimodalDataset]

    @classmethod
    def of(
        cls, data: DataSplits, batch_size: int = 64, *, seed: int = 0, train_part: int = 1000
    ) -> Loaders:
        """Loaders of a data set; `train_part` training samples are measured after each epoch (0:
        none).
        """
        train = BatchLoader(data.train, batch_size, shuffle=True, seed=seed, drop_last="single")
        splits = {"val": data.val, "test": data.test}
        if train_part:
            order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
            splits = {"train": data.train.subset(order[:train_part].sort().values)} | splits
        return cls(train, splits)


@checked
class Trainer:
    """Trains a model with a method, measures after each epoch, keeps a run directory, resumes it.

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
        self.history = History() if run is None else run.history()
        self.epoch = self.steps = 0

    def fit(self, epochs: Count) -> History:
        """Train until `epochs` epochs are done in all, going on from the run's checkpoint if it has
        one.

        Raises:
            NonFiniteLoss: where the loss is NaN or infinite; what came before is kept.
        """
        check_arguments(Trainer.fit, {"epochs": epochs})
        self.method.total_epochs = epochs
        if self.epoch == 0:
            self._resume()
        # Nothing to resume: epoch 0 is the measurement before training.
        if self.epoch == 0:
            self.history.keep_until(-1)
            self._measure({})
        total = (epochs - self.epoch) * len(self.loaders.train)
        try:
            with progress_bar(total=max(0, total), show=self.progress, desc=self.label) as bar:
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
        if self.run is not None:
            # The mark comes last: a finished run always has its model.
            self.run.save("model.pt", self.model.state_dict())
            self.run.mark_done()
        return self.history

    def _epoch(self, bar: Any) -> None:
        self.model.train()
        # Batches in the order of this epoch, also after an interruption.
        self.loaders.train.set_epoch(self.epoch)
        self.method.on_epoch_start(self.model, self.epoch, self.loaders)
        sums: dict[str, float] = defaultdict(float)
        for batch in self.loaders.train:
            logs = self.method.step(self.model, batch.to(self.device), self.optimizer)
            loss = float(logs["loss"])
            # Stop at once, so that the last whole epoch's checkpoint stays.
            if not math.isfinite(loss):
                self._refuse(
                    f"The loss became {loss} in epoch {self.epoch + 1}, step {self.steps + 1}",
                    self.epoch,
                )
            if self.scheduler is not None:
                self.scheduler.step()
            self.steps += 1
            for key, value in logs.items():
                sums[key] += float(value)
            bar.update()
            if self.on_step is not None:
                self.on_step(self.steps, logs)
        self.epoch += 1
        # What the steps logged enters as its mean over the epoch.
        self._measure({k: v / len(self.loaders.train) for k, v in sums.items()})
        self.method.on_epoch_end(self.model, self.epoch, self.loaders, self.history)
        # After all measurements: an epoch is resumed from only when its rows exist.
        self._checkpoint()
        bar.set_postfix_str(self._postfix(), refresh=False)

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
            rows += [(split, *row) for row in measured]
        for probe in self.probes:
            if self.epoch % getattr(probe, "every", 1) == 0:
                rows += [("probe", *row) for row in probe(self.model, self.epoch, self.loaders)]
        self.history.extend(Record(self.epoch, self.steps, *row) for row in rows)

    def _postfix(self) -> str:
        names = self.model.modalities
        own = ", ".join(f"{m} {100 * self.history.last('accuracy', modality=m):.0f}" for m in names)
        shares = {m: self.history.last("contribution", modality=m) for m in names}
        leader = max(shares, key=lambda m: shares[m])
        return f"acc {100 * self.history.last('accuracy'):.1f} ({own}) · dominant {leader}"

    def _checkpoint(self) -> None:
        if self.run is None:
            return
        state = {
            "epoch": self.epoch,
            "steps": self.steps,
            "model": self.model.state_dict(),
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device)
            if self.device.type == "cuda"
            else None,
        }
        self.run.save("checkpoint.pt", state)

    def _resume(self) -> None:
        state = None if self.run is None else self.run.load("checkpoint.pt", self.device)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["rng"].cpu())
        if state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu(), self.device)
        self.epoch, self.steps = state["epoch"], state["steps"]
        # Rows of an epoch without checkpoint are measured again.
        self.history.keep_until(self.epoch)


def _logged(key: str, value: float) -> tuple[str, str, float]:
    """`"share/x1"` is metric share of modality x1; a key without a slash belongs to the whole
    model.
    """
    metric, _, modality = key.partition("/")
    return modality or "fused", metric, value
