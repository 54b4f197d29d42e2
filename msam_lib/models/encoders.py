"""Encoders: from the inputs of one modality to features (N, D); `encoder.dim` is D.

No encoder knows which modality it reads. `build_encoder` chooses one that fits a `Modality`.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib._utils.settings import EncoderName
from msam_lib.data.containers import Modality
from msam_lib.errors import MsamError


class Encoder(nn.Module):
    """Base class: a module with features of size `dim`."""

    dim: int


class SmallCNN(Encoder):
    """Three 3x3 convolutions with batch normalisation and global average pooling: (N, C, H, W) ->
    (N, dim).

    Args:
        channels: input channels.
        width: channels of the first layer; the others have 2 and 4 times as many, so `dim = 4 *
            width`.
        norm: batch normalisation after each convolution.
    """

    def __init__(self, channels: int = 1, width: int = 16, *, norm: bool = True) -> None:
        super().__init__()
        self.dim = 4 * width
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate([(channels, width), (width, 2 * width), (2 * width, 4 * width)]):
            # The first layer keeps the resolution, the others halve it.
            layers.append(nn.Conv2d(a, b, 3, stride=1 if i == 0 else 2, padding=1, bias=not norm))
            layers += [nn.BatchNorm2d(b)] if norm else []
            layers.append(nn.ReLU(inplace=True))
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).mean(dim=(2, 3))  # (N, dim)


class MLP(Encoder):
    """Fully connected layers with ReLU on the flattened input: (N, ...) -> (N, dim).

    Args:
        inputs: values per sample.
        dim: size of the features.
        hidden: width of the hidden layers.
        depth: number of hidden layers.
    """

    def __init__(self, inputs: int, dim: int = 64, *, hidden: int = 64, depth: int = 1) -> None:
        super().__init__()
        self.dim = dim
        sizes = [inputs, *[hidden] * depth, dim]
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU(inplace=True)]
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(1))


class _Residual(nn.Module):
    """The basic block of He et al. 2016, Figure 2: two 3x3 convolutions and a shortcut."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(b)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(b)
        same = stride == 1 and a == b
        self.shortcut: nn.Module = nn.Identity()
        # A block that changes the shape projects its shortcut, too.
        if not same:
            self.shortcut = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet18(Encoder):
    """ResNet-18 without its classifier (He et al., CVPR 2016, Table 1): (N, C, H, W) -> (N, 8 *
    width).

    Args:
        channels: 1 for spectrograms and grey images, 3 for colour.
        width: channels of the first stage; 64 is the published network (11.2 million parameters).
        small_stem: a 3x3 stride-1 stem without max pooling, for images of about 32 pixels; the
            published stem (7x7 stride 2, then max pooling) reduces a 28x28 image to one pixel.
    """

    def __init__(self, channels: int = 1, width: int = 64, *, small_stem: bool = False) -> None:
        super().__init__()
        self.dim = 8 * width
        kernel, stride = (3, 1) if small_stem else (7, 2)
        stem: list[nn.Module] = [
            nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        self.stem = nn.Sequential(*stem, *([] if small_stem else [nn.MaxPool2d(3, 2, 1)]))
        stages, a = [], width
        for stage, b in enumerate([width, 2 * width, 4 * width, 8 * width]):
            stages += [_Residual(a, b, 1 if stage == 0 else 2), _Residual(b, b, 1)]
            a = b
        self.stages = nn.Sequential(*stages)
        # He et al., ICCV 2015: gradients keep their variance from layer to layer.
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(self.stem(x)).mean(dim=(2, 3))  # (N, 8 * width)


class _Transformer(Encoder):
    """A pre-norm Transformer encoder over (N, T, dim), read out by masked mean pooling."""

    def __init__(self, dim: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dim = dim
        layer = nn.TransformerEncoderLayer(
            dim, heads, 2 * dim, dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)

    def pooled(self, h: Tensor, padding: Tensor) -> Tensor:
        """(N, dim) of embedded steps (N, T, dim), without those that are padding (N, T)."""
        positions = _sinusoids(h.shape[1], h.shape[2]).to(h)
        # A sample without any token keeps all its (zero) positions: attention over nothing would be
        # NaN.
        padding = padding & ~padding.all(dim=1, keepdim=True)
        h = self.norm(self.layers(h + positions, src_key_padding_mask=padding))
        keep = (~padding).unsqueeze(-1).to(h)  # (N, T, 1)
        return (h * keep).sum(1) / keep.sum(1)


class TransformerEncoder(_Transformer):
    """Transformer over a sequence of vectors: (N, T, inputs) -> (N, dim); all-zero steps are
    padding.

    Vaswani et al., NeurIPS 2017, with the normalisation before each block. The M-SAM paper's
    setting for UR-Funny is dim 768, 4 heads, 8 layers.

    Args:
        inputs: size of the vectors.
        dim: size of the features.
        depth: number of layers.
        heads: attention heads.
        dropout: probability.
    """

    def __init__(
        self, inputs: int, dim: int = 64, *, depth: int = 2, heads: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__(dim, depth, heads, dropout)
        self.embed = nn.Linear(inputs, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.pooled(self.embed(x), (x == 0).all(dim=-1))


class TokenEncoder(_Transformer):
    """Transformer over characters or words: (N, T) integers -> (N, dim); 0 is padding.

    Integers may come as floats (a zeroed input keeps its type); they are rounded to the nearest
    symbol. Arguments as of `TransformerEncoder`, but `vocabulary`, the number of symbols.
    """

    def __init__(
        self,
        vocabulary: int,
        dim: int = 64,
        *,
        depth: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, depth, heads, dropout)
        self.embed = nn.Embedding(vocabulary, dim, padding_idx=0)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.round().long() if x.is_floating_point() else x.long()
        return self.pooled(self.embed(tokens), tokens == 0)


def _sinusoids(steps: int, dim: int) -> Tensor:
    """Sinusoidal positions (T, dim), Vaswani et al. 2017, section 3.5."""
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))  # 10000^(-2i / dim)
    angles = torch.arange(steps).unsqueeze(1) * rates  # (T, dim / 2)
    table = torch.zeros(steps, dim)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()[:, : dim // 2]
    return table


def build_encoder(modality: Modality, kind: EncoderName = "auto", *, width: Count = 16) -> Encoder:
    """The encoder for one modality; `"auto"` chooses by `modality.kind`.

    Args:
        modality: kind and shape of one sample.
        kind: one of `ENCODERS`, or `"auto"`: small CNN for images and spectrograms, MLP for
            vectors, Transformer for sequences, character Transformer for characters.
        width: base width. Features have `4 * width` dimensions, `8 * width` for `resnet18`.

    Raises:
        MsamError: an unknown kind, or one that cannot read this modality.

    >>> build_encoder(Modality("image", (1, 8, 8)), width=4).dim
    16
    """
    check_arguments(build_encoder, locals())
    automatic = {"image": "small_cnn", "spectrogram": "small_cnn", "vector": "mlp"}
    automatic |= {"sequence": "transformer", "characters": "tokens"}
    if kind == "auto":
        kind = automatic[modality.kind]
    # Dimensions of a sample; the MLP flattens any shape.
    needs = {"small_cnn": 3, "resnet18": 3, "transformer": 2, "tokens": 1}.get(kind)
    if needs is not None and len(modality.shape) != needs:
        raise MsamError(
            f"Encoder {kind!r} reads samples with {needs} dimensions, but this {modality.kind} "
            f"has shape {modality.shape}. Use encoder='auto', which would take "
            f"{automatic[modality.kind]!r}."
        )
    if kind == "small_cnn":
        return SmallCNN(modality.shape[0], width)
    if kind == "resnet18":
        return ResNet18(modality.shape[0], width, small_stem=max(modality.shape[1:]) <= 64)
    if kind == "transformer":
        return TransformerEncoder(modality.shape[1], 4 * width)
    if kind == "tokens":
        return TokenEncoder(modality.vocabulary, 4 * width)
    return MLP(math.prod(modality.shape), 4 * width, hidden=4 * width)
