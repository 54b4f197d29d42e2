"""`Experiment`: everything that determines a run, in one frozen dataclass; and the presets."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msam_lib.errors import MsamError, unknown_name

if TYPE_CHECKING:
    from msam_lib.data.base import DataSplits
    from msam_lib.models.multimodal import MultimodalModel
    from msam_lib.training.runs import Run

VERSION = (
    1  # of the training's meaning: raised when the same configuration would give other numbers
)


@dataclass(frozen=True)
class Experiment:
    """One training, completely described. `run()` trains it, resumes it, or returns the finished
    run.

    Args:
        dataset: name of a data set (`python -m msam_lib list datasets`).
        fusion: late, concat, maxout, sum, gated or film.
        method: name of a training rule (`python -m msam_lib list methods`).
        seed: of initialisation, batch order, dropout and label noise; never of the data set's own
            split.
        epochs: passes over the training split.
        batch_size: samples per step.
        optimizer: sgd or adamw.
        lr: learning rate.
        momentum: of SGD; beta_1 of AdamW.
        weight_decay: of the optimizer.
        schedule: constant, step (times 0.1 every `period` epochs) or cosine.
        warmup: epochs of a linear start.
        period: epochs between two drops of the step schedule.
        clip_norm: largest gradient norm; 0 does not clip.
        encoder: auto, small_cnn, resnet18, mlp, transformer or tokens.
        width: base width of the encoders.
        unimodal_heads: give every modality a head of its own beside the fusion.
        modalities: which ones, in this order; empty takes the data set's own.
        label_noise: share of the training labels replaced by a wrong one.
        absent: what an absent modality's input is: zero, or mean (of the training split).
        train_part: training samples measured after each epoch.
        traces: measure the Hessian's trace of every block each so many epochs; 0 never does.
        precision: auto, float32 or bfloat16.
        device: auto, cpu, cuda or mps; not part of the run's identity.
        method_options: options of the method.
        data_options: options of the data set.
        fusion_options: options of the fusion.

    >>> Experiment(method="sam", method_options={"rho": 0.1}).name  # doctest: +ELLIPSIS
    'digits-late-sam-s0-...'
    """

    dataset: str = "digits"
    fusion: str = "late"
    method: str = "joint"
    seed: int = 0
    epochs: int = 20
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "constant"
    warmup: int = 0
    period: int = 70
    clip_norm: float = 0.0
    encoder: str = "auto"
    width: int = 16
    unimodal_heads: bool = False
    modalities: tuple[str, ...] = ()
    label_noise: float = 0.0
    absent: str = "zero"
    train_part: int = 1000
    traces: int = 0
    precision: str = "auto"
    device: str = "auto"
    method_options: dict[str, Any] = field(default_factory=dict)
    data_options: dict[str, Any] = field(default_factory=dict)
    fusion_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", tuple(self.modalities))
        if self.absent not in ("zero", "mean"):
            raise unknown_name("absent", self.absent, ["zero", "mean"])
        for name in ("epochs", "batch_size", "width"):
            if getattr(self, name) < 1:
                raise MsamError(f"{name}={getattr(self, name)}; it must be at least 1.")

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Experiment:
        """The experiment of a run's `config.json`."""
        known = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in config.items() if k in known})

    @classmethod
    def preset(cls, name: str = "teach", **changes: Any) -> Experiment:
        """An experiment of the size `"smoke"` (seconds), `"teach"` (a minute) or `"paper"`, with
        changes.

        Each preset has settings for all data sets and more for some; what is given here comes last.
        """
        from msam_lib.presets import preset

        out = preset(name, changes.get("dataset", cls.dataset), changes)
        for key, value in changes.items():
            both = isinstance(value, dict) and isinstance(out.get(key), dict)
            out[key] = out[key] | value if both else value
        return cls(**out)

    def replace(self, **changes: Any) -> Experiment:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def identity(self) -> dict[str, Any]:
        """What determines the numbers: all fields but the device, and the meaning's version."""
        out = {k: v for k, v in asdict(self).items() if k != "device"} | {"version": VERSION}
        if not self.traces:  # measuring nothing more is the run it always was
            del out["traces"]
        return out

    @property
    def name(self) -> str:
        """The run directory's name; its hash changes with any setting."""
        text = json.dumps(self.identity(), sort_keys=True, default=list)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.dataset}-{self.fusion}-{self.method}-s{self.seed}-{digest}"

    @property
    def label(self) -> str:
        """Method and the options that differ from its defaults, as on the command line."""
        options = ",".join(f"{k}={v}" for k, v in sorted(self.method_options.items()))
        return f"{self.method}:{options}" if options else self.method

    def load_data(self) -> DataSplits:
        """The data set, with label noise where asked for."""
        from msam_lib.data import load_dataset

        return load_dataset(
            self.dataset,
            seed=self.seed if self.label_noise else 0,
            label_noise=self.label_noise,
            modalities=self.modalities or None,
            **self.data_options,
        )

    def build_model(self, data: DataSplits) -> MultimodalModel:
        """The untrained model for this data; its weights depend on torch's seed."""
        from msam_lib.models import build_model

        model = build_model(
            data,
            self.fusion,
            encoder=self.encoder,
            width=self.width,
            unimodal_heads=self.unimodal_heads,
            **self.fusion_options,
        )
        if self.absent == "mean":
            model.set_baseline({m: x.float().mean(0) for m, x in data.train.inputs.items()})
        return model

    def run(self, store: str | os.PathLike[str] | None = None, *, progress: bool = True) -> Run:
        """Train, or go on where a killed run stopped, or return the finished run at once.

        Args:
            store: folder of runs; `$MSAM_RUNS` or `runs` by default.
            progress: show a bar where somebody watches.
        """
        from msam_lib.training.runs import Run, default_store

        folder = default_store() if store is None else Path(store)
        run = Run(folder / self.name)
        if not run.finished:
            self.trainer(folder, progress=progress).fit(self.epochs)
        return run

    def trainer(
        self,
        store: str | os.PathLike[str] | None = None,
        *,
        progress: bool = True,
        probes: Any = (),
    ) -> Any:
        """The `Trainer` of this experiment, with its run directory opened (none when `store` is
        None).
        """
        from msam_lib.methods import Task, build_method
        from msam_lib.reproducibility import environment_record, pick_device, seed_everything
        from msam_lib.training import Loaders, Run, Trainer, build_optimizer, build_schedule

        device = pick_device(self.device)
        method = build_method(self.method, **self.method_options)
        method.clip_norm = self.clip_norm or None
        data = self.load_data()
        seed_everything(self.seed)
        model = self.build_model(data).to(device)
        method.setup(model, Task(len(data.classes)))
        loaders = Loaders.of(data, self.batch_size, seed=self.seed, train_part=self.train_part)
        optimizer = build_optimizer(
            [*model.parameters(), *method.parameters()],
            self.optimizer,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        steps = len(loaders.train)
        if self.traces:
            from msam_lib.diagnostics import TraceProbe

            probes = [*probes, TraceProbe(every=self.traces, samples=300, probes=10)]
        scheduler = build_schedule(
            optimizer,
            self.schedule,
            steps=self.epochs * steps,
            warmup=self.warmup * steps,
            period=self.period * steps,
        )
        run = None
        if store is not None:
            record = environment_record(device) | {"provenance": data.provenance}
            run = Run.create(Path(store) / self.name, json_config(self), record)
        return Trainer(
            model,
            method,
            loaders,
            optimizer=optimizer,
            scheduler=scheduler,
            probes=probes,
            run=run,
            device=device,
            precision=self.precision,
            progress=progress,
            label=f"{self.label} · {self.fusion} · seed {self.seed}",
        )


def json_config(experiment: Experiment) -> dict[str, Any]:
    """The experiment as `config.json` keeps it."""
    return asdict(experiment) | {"version": VERSION}
