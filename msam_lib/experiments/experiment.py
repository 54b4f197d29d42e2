"""`Experiment`: the complete description of a run in one frozen dataclass.

It only describes: `experiments.build` makes data, model and trainer from it, and `run_experiment`
trains it. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any

from msam_lib._utils import boards
from msam_lib._utils.arguments import checked
from msam_lib._utils.options import (
    AtLeastZero,
    Choice,
    Count,
    Positive,
    Share,
    ShareBelowOne,
    WholeNumber,
)
from msam_lib._utils.settings import EncoderNames, OptimizerName, PrecisionName, ScheduleName, Seed
from msam_lib.catalogue import DATASETS, DEFAULT_DATASET, FUSIONS, VERSION
from msam_lib.errors import MsamError
from msam_lib.experiments.presets import preset
from msam_lib.labels import format_label

SHOWN = ("dataset", "fusion", "method", "seed", "epochs", "lr")  # in a notebook, always


@checked
@dataclass(frozen=True)
class Experiment:
    """One training, completely described; `run_experiment(experiment)` trains it.

    Args:
        dataset: name of a data set (`python -m msam_lib list datasets`).
        fusion: late, concat, maxout, sum, gated, film, lnln or guided.
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
        encoder: auto, small_cnn, resnet18, mlp, transformer, deep_transformer, tokens, segments or
            hf:NAME_OR_FOLDER, for all modalities or for some: text=hf:NAME,image=resnet18.
        width: base width of the encoders.
        unimodal_heads: give every modality a head of its own beside the fusion.
        modalities: which ones, in this order; empty takes the data set's own.
        label_noise: share of the training labels replaced by a wrong one.
        absent: what an absent modality's input is: zero, or mean (of the training split).
        train_part: training samples measured after each epoch.
        traces: measure the Hessian's trace of every block each so many epochs; 0 never does.
        precision: auto, float32 or bfloat16.
        sync: under torchrun, whose gradient the first pass of sharpness-aware methods follows:
            global (all ranks': the result does not depend on their number) or local (the rank's
            own: m-sharpness).
        device: auto, cpu, cuda or mps; not part of the run's identity.
        encoder_options: options of the encoders, for all or for one modality: trainable=last:2,
            text.trainable=none, image.weights=resnet18.pt.
        method_options: options of the method.
        data_options: options of the data set.
        fusion_options: options of the fusion.

    >>> Experiment(method="sam", method_options={"rho": 0.1}).name  # doctest: +ELLIPSIS
    'avmnist_mini-late-sam-s0-...'
    """

    dataset: Annotated[str, Choice(DATASETS)] = DEFAULT_DATASET
    fusion: Annotated[str, Choice(FUSIONS)] = "late"
    method: str = "joint"
    seed: Seed = 0
    epochs: Count = 20
    batch_size: Count = 64
    optimizer: OptimizerName = "sgd"
    lr: Positive = 0.05
    momentum: ShareBelowOne = 0.9
    weight_decay: AtLeastZero = 1e-4
    schedule: ScheduleName = "constant"
    warmup: WholeNumber = 0
    period: WholeNumber = 70
    clip_norm: AtLeastZero = 0.0
    encoder: EncoderNames = "auto"
    width: Count = 16
    unimodal_heads: bool = False
    modalities: tuple[str, ...] = ()
    label_noise: Share = 0.0
    absent: Annotated[str, Choice(("zero", "mean"))] = "zero"
    train_part: WholeNumber = 1000
    traces: WholeNumber = 0
    precision: PrecisionName = "auto"
    sync: Annotated[str, Choice(("global", "local"))] = "global"
    device: str = "auto"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    method_options: dict[str, Any] = field(default_factory=dict)
    data_options: dict[str, Any] = field(default_factory=dict)
    fusion_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", tuple(self.modalities))
        if self.unimodal_heads and self.fusion == "late":
            raise MsamError(
                "unimodal_heads=True with fusion='late', which has a head for each modality "
                "already. Leave unimodal_heads out, or use another fusion."
            )
        if self.schedule == "step" and self.period < 1:
            raise MsamError(
                f"period={self.period} with schedule='step'; give the epochs between two drops, "
                "1 or more."
            )

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
        # runs from before these fields keep their names
        for new, before in (("traces", 0), ("sync", "global"), ("encoder_options", {})):
            if out[new] == before:
                del out[new]
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

    def _repr_html_(self) -> str:
        """The settings that differ from the defaults, for a notebook."""
        plain = type(self)()
        rows = [
            (f.name, getattr(self, f.name))
            for f in fields(self)
            if getattr(self, f.name) != getattr(plain, f.name) or f.name in SHOWN
        ]
        return boards.table(f"{self.label} on {self.dataset}: {self.name}", rows)

    def config(self) -> dict[str, Any]:
        """All fields and `VERSION`, as kept in a run's `config.json`."""
        return asdict(self) | {"version": VERSION}
