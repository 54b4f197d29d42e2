"""Convolutional encoders of images and spectrograms, and of frames by the mean over them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from msam_lib.models.encoders.base import Encoder


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

    def blocks(self) -> Sequence[nn.Module]:
        """The eight residual blocks."""
        return list(self.stages)


class FrameMean(Encoder):
    """The mean over frames of an image encoder's features: (N, T, C, H, W) -> (N, dim).

    As the authors of OGM-GE read the frames of a clip (Peng et al., CVPR 2022).

    Args:
        encoder: reads one frame (N, C, H, W).
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.dim, self.encoder = encoder.dim, encoder

    def forward(self, x: Tensor) -> Tensor:
        n, frames = x.shape[:2]
        return self.encoder(x.flatten(0, 1)).view(n, frames, -1).mean(1)
