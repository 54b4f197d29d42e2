"""`Experiment`: the complete description of a run in one frozen dataclass.

It only describes: `experiments.build` makes data, model and trainer from it, and `run_experiment`
trains it. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from msam_lib.catalogue import DEFAULT_DATASET, VERSION
from msam_lib.errors import MsamError, unknown_name
from msam_lib.experiments.presets import preset
from msam_lib.labels import format_label


@dataclass(frozen=True)
class Experiment:
    """One training, completely described; `run_experiment(experiment)` trains it.

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
        encoder: auto, small_cnn, resnet18, mlp, transformer, deep_transformer or tokens.
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
    'avmnist_mini-late-sam-s0-...'
    """

    dataset: str = DEFAULT_DATASET
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
    def from_dict(cls, config: dict[str, Any], run: object = "RUN") -> Experiment:
        """The experiment of a run's `config.json`.

        Args:
            config: its content.
            run: the run directory, for the error.

        Raises:
            MsamError: this is not the configuration of a run.
        """
        known = {f.name for f in fields(cls)}
        missing = {"dataset", "fusion", "method", "seed", "epochs"} - set(config)
        try:
            if missing:
                raise MsamError(f"{', '.join(sorted(missing))} missing")
            experiment = cls(**{k: v for k, v in config.items() if k in known})
            _ = experiment.name, experiment.label
        except (MsamError, TypeError, AttributeError) as error:
            raise MsamError(
                f"This is not the configuration of a run ({error}): {str(config)[:200]}. "
                f"`python -m msam_lib repair {run}` restores it from the run's checkpoint."
            ) from error
        return experiment

    @classmethod
    def preset(cls, name: str = "teach", **changes: Any) -> Experiment:
        """An experiment of the size `"smoke"` (seconds), `"teach"` (a minute) or `"paper"`, with
        changes.

        A preset has settings for all data sets, and further ones for some; `changes` override them.
        Dictionaries of options are merged.
        """
        out = preset(name, changes.get("dataset", cls.dataset), changes)
        for key, value in changes.items():
            both = isinstance(value, dict) and isinstance(out.get(key), dict)
            out[key] = out[key] | value if both else value
        return cls(**out)

    def replace(self, **changes: Any) -> Experiment:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def identity(self) -> dict[str, Any]:
        """What determines the numbers: all fields but the device, and `VERSION`."""
        out = {k: v for k, v in asdict(self).items() if k != "device"} | {"version": VERSION}
        if not self.traces:  # runs from before this field keep their names
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
        """Method and its options in one word, as on the command line."""
        return format_label(self.method, self.method_options)

    def config(self) -> dict[str, Any]:
        """All fields and `VERSION`, as kept in a run's `config.json`."""
        return asdict(self) | {"version": VERSION}
