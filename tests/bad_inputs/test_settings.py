"""Settings of experiments, optimizers, schedules, data sets, encoders and fusions, in Python."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from msam_lib.data import BatchLoader, Modality, MultimodalDataset, load_dataset
from msam_lib.diagnostics import Sampling
from msam_lib.experiments.experiment import Experiment
from msam_lib.models import build_encoder, build_model
from msam_lib.training import build_optimizer, build_schedule
from tests.bad_inputs.expect import refused, wrong_values

SETTINGS = [
    (f.name, v)
    for f in fields(Experiment)
    for v in (wrong_values(f.default) if not f.name.endswith("_options") else [3])
    if f.name != "modalities"
]
SETTINGS += [
    *[("lr", -0.1), ("lr", 0.0), ("momentum", 2.0), ("momentum", -0.1), ("weight_decay", -1)],
    *[("warmup", -1), ("clip_norm", -1), ("train_part", -5), ("seed", -1), ("seed", 2**40)],
    *[("epochs", 0), ("batch_size", 0), ("width", 0), ("label_noise", 1.5), ("traces", -1)],
    *[("optimizer", "lion"), ("schedule", "linear"), ("encoder", "vgg"), ("absent", "median")],
    *[("precision", "float16"), ("dataset", "nonsense"), ("fusion", "nonsense"), ("period", -1)],
    *[("modalities", "audio"), ("modalities", (1, 2)), ("unimodal_heads", 1)],
]
DATA = {
    "synthetic": {
        "n_train": (-5, 0, 1.5, "abc"), "snr": (-1.0, "abc", [float("nan")], ()), "n_test": (0,),
        "redundancy": (1.5, "abc"), "synergy": (-0.1, float("nan")), "n_classes": (1, 2.5),
        "dim": (2, "abc"), "n_modalities": (0, "abc"), "n_val": (-1,),
    },
    "digits": {"visual_noise": (-1.0, "abc", float("inf")), "audio_noise": (-1, float("nan"))},
    "avmnist": {"snr_db": ("abc", float("nan")), "size": ("large", 3), "split": ("day", 1),
                "n_train": (0, 60_000, "abc"), "n_val": (-1,), "n_test": (10_001,)},
    "signs": {"components": (-1, 501, 1.5), "n_train": (0, 55_001), "snr_db": ("abc",)},
    "mosi": {"val_share": (0.0, 1.0, "abc", float("nan"))},
    "mfeat": {"n_train": (0, "abc"), "n_val": (-1, 2.5)},
    "isl": {"length": (0, -1, "abc", 2.5)},
}  # fmt: skip
OPTIONS = [(d, o, v) for d, given in DATA.items() for o, values in given.items() for v in values]
FUSIONS = [
    *[("maxout", "hidden", 5), ("maxout", "hidden", (0, 3)), ("maxout", "hidden", "abc")],
    *[("maxout", "pieces", 0), ("maxout", "dropout", 1.5), ("maxout", "dropout", "abc")],
    *[("sum", "hidden", -1), ("gated", "hidden", 2.5), ("film", "hidden", "abc")],
    *[("film", "anchor", "x9")],
    *[("lnln", "hidden", 0), ("lnln", "leading", "x9"), ("gated", "hidden", True)],
]  # fmt: skip
SPECS = {"x1": Modality("vector", (3,)), "x2": Modality("vector", (4,))}


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_of_an_experiment(name, value):
    refused(lambda: Experiment(**{name: value}), name, value)
    refused(lambda: Experiment().replace(**{name: value}), name, value)


def test_settings_that_exclude_each_other():
    refused(lambda: Experiment(unimodal_heads=True, fusion="late"), "unimodal_heads=True", "late")
    refused(lambda: Experiment(schedule="step", period=0), "period=0", "step")
    refused(lambda: Experiment(learning_rate=0.1), "learning_rate")


@pytest.mark.parametrize(("dataset", "option", "value"), OPTIONS)
def test_of_a_data_set(dataset, option, value):
    refused(lambda: load_dataset(dataset, **{option: value}), option, value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("seed", -1), ("seed", "abc"), ("label_noise", 1.5), ("label_noise", float("nan"))],
        *[("modalities", 3), ("modalities", ("x1", "x1")), ("modalities", ())],
    ],
)
def test_of_every_data_set(option, value):
    refused(lambda: load_dataset("synthetic", **{option: value}), option, value)


def test_unknown_names():
    refused(lambda: load_dataset("nonsense"), "nonsense")
    refused(lambda: load_dataset("synthetic", nonsense=1), "nonsense")
    refused(lambda: load_dataset("synthetic", modalities=["x9"]), "x9")
    refused(lambda: build_model(SPECS, "late", classes=2, hidden=5), "hidden")


@pytest.mark.parametrize(("fusion", "option", "value"), FUSIONS)
def test_of_a_fusion(fusion, option, value):
    refused(lambda: build_model(SPECS, fusion, classes=2, **{option: value}), option, value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("classes", 0), ("classes", "abc"), ("encoder", "vgg"), ("encoder", {"x1": "vgg"})],
        *[("width", 0), ("width", 1.5), ("fusion", "nonsense"), ("unimodal_heads", "yes")],
    ],
)
def test_of_a_model(option, value):
    word = "vgg" if option == "encoder" else value
    refused(lambda: build_model(SPECS, **({"classes": 2} | {option: value})), option, word)
    refused(lambda: build_encoder(SPECS["x1"], width=0), "width", 0)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("name", "lion"), ("lr", 0.0), ("lr", "abc"), ("lr", float("nan")), ("momentum", 2.0)],
        *[("momentum", 1.0), ("weight_decay", -1.0), ("weight_decay", float("inf"))],
    ],
)
def test_of_an_optimizer(option, value):
    weights = [torch.nn.Parameter(torch.zeros(2))]
    refused(lambda: build_optimizer(weights, **{option: value}), option, value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("name", "linear"), ("steps", 0), ("steps", "abc"), ("warmup", -1), ("warmup", 1.5)],
        *[("factor", 0.0), ("period", -1)],
    ],
)
def test_of_a_schedule(option, value):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1)
    refused(lambda: build_schedule(optimizer, **({"steps": 9} | {option: value})), option, value)


@pytest.mark.parametrize(
    ("option", "value"),
    [("batch_size", 0), ("batch_size", "64"), ("drop_last", "some"), ("seed", -1), ("seed", 0.5)],
)
def test_of_a_loader(option, value):
    data = MultimodalDataset({"x": torch.zeros(4, 2)}, torch.zeros(4, dtype=torch.long))
    refused(lambda: BatchLoader(data, **{option: value}), option, value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[
            ("samples", 0),
            ("samples", 2.5),
            ("batch_size", 0),
            ("batch_size", "abc"),
            ("mode", "dev"),
        ],
        *[("seed", -1), ("loss", "mse")],
    ],
)
def test_of_a_sampling(option, value):
    refused(lambda: Sampling(**{option: value}), option, value)
