"""ResNet-18 from a file of weights with torchvision's names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from msam_lib._utils.extras import optional
from msam_lib.errors import MsamError
from msam_lib.models.encoders.convolutional import ResNet18

# Parts of a block, torchvision's name first.
PARTS = {
    "conv1": "conv1",
    "bn1": "norm1",
    "conv2": "conv2",
    "bn2": "norm2",
    "downsample": "shortcut",
}


def load_resnet18(encoder: ResNet18, path: str | os.PathLike[str]) -> None:
    """Load weights with torchvision's names (`conv1`, `bn1`, `layer1.0.conv1`, ...) into a
    `ResNet18` of the published stem.

    The classifier `fc` is ignored. Where the file's first convolution reads another number of
    channels, the encoder takes the mean of its kernels over channels in each of its C channels,
    times the file's number / C: a grey image has the same response as in the file's network. Input
    normalisation is the data's: torchvision's own weights expect the mean and standard deviation of
    ImageNet.

    Args:
        encoder: that takes the weights.
        path: a state dict saved by `torch.save`, read with `weights_only=True`, possibly inside a
            dictionary under `"state_dict"` or `"model"` and with names that begin with `module.`;
            or a `.safetensors` file.

    Raises:
        MsamError: the file cannot be read, or a name or shape does not fit; all of them are named.
    """
    path = Path(path).expanduser()
    given = {k.removeprefix("module."): v for k, v in _read(path).items()}
    given = {k: v for k, v in given.items() if not k.startswith("fc.")}
    wanted = encoder.state_dict()
    names = {_torchvision(k): k for k in wanted}
    # Files from before 2018 have no counters of batches.
    counters = {k for k in names if k.endswith("num_batches_tracked")}
    if missing := [k for k in names if k not in given and k not in counters]:
        raise _mismatch(path, "lacks", missing)
    if extra := [k for k in given if k not in names]:
        raise _mismatch(path, "has other names, too:", extra)
    first = given["conv1.weight"]
    channels = wanted[names["conv1.weight"]].shape[1]
    if first.dim() == 4 and first.shape[1] != channels:
        mean = first.mean(dim=1, keepdim=True) * (first.shape[1] / channels)
        given["conv1.weight"] = mean.expand(-1, channels, -1, -1)
    shapes = {k: (tuple(v.shape), tuple(wanted[names[k]].shape)) for k, v in given.items()}
    if wrong := [f"{k} {a}, needs {b}" for k, (a, b) in shapes.items() if a != b]:
        raise _mismatch(path, "has other shapes:", wrong)
    encoder.load_state_dict(wanted | {names[k]: v for k, v in given.items()})


def _torchvision(name: str) -> str:
    """torchvision's name of an entry of `ResNet18`'s state dict.

    >>> _torchvision("stages.3.norm2.bias")
    'layer2.1.bn2.bias'
    """
    group, number, rest = name.split(".", 2)
    if group == "stem":
        return f"{'conv1' if number == '0' else 'bn1'}.{rest}"
    ours = {v: k for k, v in PARTS.items()}
    part, _, rest = rest.partition(".")
    stage, block = divmod(int(number), 2)
    return f"layer{stage + 1}.{block}.{ours[part]}.{rest}"


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name."""
    if not path.is_file():
        raise MsamError(
            f"weights={str(path)!r} is not there. Name a .pt, .pth or .safetensors file."
        )
    try:
        if path.suffix == ".safetensors":
            content: Any = optional("safetensors.torch", "hf", str(path)).load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except MsamError:
        raise
    except Exception as error:  # of many classes: pickle's, zipfile's, safetensors' own
        reason = str(error).strip().split("\n")[0][:200]
        raise MsamError(
            f"{path} cannot be read as weights ({type(error).__name__}: {reason}). Save a state "
            "dict: torch.save(model.state_dict(), path)"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise MsamError(f"{path} holds a {type(content).__name__}, not tensors by name. Save a "
                        "state dict: torch.save(model.state_dict(), path)")  # fmt: skip
    return dict(content)


def _mismatch(path: Path, what: str, names: list[str]) -> MsamError:
    """The error for weights of another network."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return MsamError(
        f"{path} {what} {'; '.join(names[:5])}{more}. Needed are the weights of torchvision's "
        "resnet18, and width=64 is its width."
    )
