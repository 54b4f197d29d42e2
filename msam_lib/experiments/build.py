"""Data, model, trainer and run of an experiment, built from its description."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from msam_lib._utils.arguments import check_options
from msam_lib._utils.reproducibility import environment_record, pick_device, seed_everything
from msam_lib._utils.world import world
from msam_lib.data import LOADERS, DataSplits, Modality, load_dataset
from msam_lib.diagnostics.probes.trainer_probes import TraceProbe
from msam_lib.errors import MsamError
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.models import FUSIONS, MultimodalModel, build_model
from msam_lib.models.fusions.registry import GIVEN
from msam_lib.training import (
    Loaders,
    Probe,
    Run,
    Trainer,
    build_optimizer,
    build_schedule,
    default_store,
)


def check_experiment(experiment: Experiment) -> None:
    """Raise where an option is wrong or the method cannot train such a model, before any data is
    read.

    Raises:
        MsamError: an unknown name, or a value that is not allowed.
        UnsupportedSetting: the method needs another fusion, heads, or other modalities.
    """
    e = experiment
    method = build_method(e.method, **e.method_options)
    check_options(f"data set {e.dataset!r}", LOADERS[e.dataset], e.data_options)
    check_options(f"fusion {e.fusion!r}", FUSIONS[e.fusion], e.fusion_options, without=GIVEN)
    # A model in small; how many modalities an experiment has by default only the data says.
    count = 2 if method.modalities == "any" else int(method.modalities)
    names = e.modalities or tuple(f"x{i}" for i in range(count))
    specs = {m: Modality("vector", (1,)) for m in names}
    small = build_model(specs, e.fusion, classes=2, width=1, unimodal_heads=e.unimodal_heads)
    method.check(small)


def load_data(experiment: Experiment) -> DataSplits:
    """The data set of an experiment, with its label noise."""
    return load_dataset(
        experiment.dataset,
        seed=experiment.seed if experiment.label_noise else 0,
        label_noise=experiment.label_noise,
        modalities=experiment.modalities or None,
        **experiment.data_options,
    )


def untrained_model(experiment: Experiment, data: DataSplits) -> MultimodalModel:
    """The untrained model of an experiment for its data; the weights depend on torch's seed."""
    model = build_model(
        data,
        experiment.fusion,
        encoder=experiment.encoder,
        encoder_options=experiment.encoder_options,
        width=experiment.width,
        unimodal_heads=experiment.unimodal_heads,
        **experiment.fusion_options,
    )
    if experiment.absent == "mean":
        model.set_baseline(data.train.mean())
    return model


def build_trainer(
    experiment: Experiment,
    store: str | os.PathLike[str] | None = None,
    *,
    progress: bool = True,
    probes: Sequence[Probe] = (),
) -> Trainer:
    """The `Trainer` of an experiment, with its run directory opened.

    Args:
        experiment: the description.
        store: folder of runs; None keeps nothing on disk.
        progress: show a progress bar in a terminal or notebook.
        probes: further measurements after an epoch; see `Trainer`.

    Raises:
        MsamError: a value that is not allowed, or a method that cannot train this model.
    """
    e = experiment
    device = pick_device(e.device)
    method = build_method(e.method, **e.method_options)
    method.clip_norm, method.sync = e.clip_norm or None, e.sync
    with world.first_alone():  # which downloads and fills the cache for the others
        data = load_data(e)
    seed_everything(e.seed)  # after loading, which may draw random numbers
    model = untrained_model(e, data).to(device)
    method.setup(model, data.task)
    loaders = Loaders.of(data, e.batch_size, seed=e.seed, train_part=e.train_part)
    # A method's own parameters are trained along with the model's.
    optimizer = build_optimizer(
        [*model.parameters(), *method.parameters()],
        e.optimizer,
        lr=e.lr,
        momentum=e.momentum,
        weight_decay=e.weight_decay,
    )
    steps = len(loaders.train)  # per epoch
    # Fewer samples and probes than a diagnosis: it is repeated during training.
    if e.traces:
        probes = [*probes, TraceProbe(every=e.traces, samples=300, probes=10)]
    # The run directory records the configuration before the first step.
    run = None
    if store is not None:
        record = environment_record(device) | {"provenance": data.provenance}
        record |= {"people": dict(data.people)} if data.people else {}
        with world.first_alone():
            run = Run.create(Path(store) / e.name, e.config(), record | {"ranks": world.size})
    return Trainer(
        model,
        method,
        loaders,
        optimizer=optimizer,
        scheduler=build_schedule(
            optimizer,
            e.schedule,
            steps=e.epochs * steps,
            warmup=e.warmup * steps,
            period=e.period * steps,
        ),
        probes=probes,
        run=run,
        device=device,
        precision=e.precision,
        progress=progress,
        label=f"{e.label} · {e.fusion} · seed {e.seed}",
    )


def run_experiment(
    experiment: Experiment,
    store: str | os.PathLike[str] | None = None,
    *,
    progress: bool = True,
) -> Run:
    """The finished run of an experiment: trained now, resumed where it was interrupted, or read.

    Args:
        experiment: the description.
        store: folder of runs; `$MSAM_RUNS` or `runs` by default.
        progress: show a progress bar in a terminal or notebook.
    """
    folder = default_store() if store is None else Path(store)
    run = Run(folder / experiment.name)
    if not run.finished:
        build_trainer(experiment, folder, progress=progress).fit(experiment.epochs)
    return run


def trained_model(run: Run, device: torch.device | str = "cpu") -> MultimodalModel:
    """The trained model of a finished run, in evaluation mode.

    Raises:
        MsamError: the run has not finished.
    """
    state = run.load("model.pt", device)
    if state is None:
        raise MsamError(
            f"{run!r} has no model yet. Resume it: run_experiment(Experiment.from_dict(run.config))"
        )
    experiment = Experiment.from_dict(run.config, run.path)
    model = untrained_model(experiment, load_data(experiment))
    model.load_state_dict(state)
    return model.to(device).eval()
