"""The encoders of a clip's segments, after the networks of the AVE data set.

Tian et al. (ECCV 2018) let the sound choose where to look: of the places j of a segment's map, with
features v_j, and of the sound a of the same segment,

    alpha = softmax_j(w . tanh(B relu(A v_j) + G relu(U a))),    v = sum_j alpha_j v_j,

then one bidirectional LSTM reads the v, another one the a, and each segment is classified. AGM's
network for AVE (Li et al., ICCV 2023), which is that of PSP (Zhou et al., CVPR 2021), puts two
linear maps without biases and without anything between them before each LSTM (C -> 2 * hidden ->
hidden).

Encoders read one modality. So either each looks at its own places and the term of the sound is left
out (`SegmentEncoder`); or the terms are computed here and meet in the fusion (`KeyEncoder`,
`PlaceEncoder` and `msam_lib.models.fusions.guided`), which is the published network: the linear
maps may come before the sum over the places, since the alpha_j add up to 1.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from msam_lib.models.base import Layout
from msam_lib.models.encoders.base import Encoder


class SegmentEncoder(Encoder):
    """Segments' features through a bidirectional LSTM: (N, T, C) or (N, T, C, H, W) -> (N, 2 *
    hidden), or (N, T * 2 * hidden) with the features of every segment.

    Maps are reduced to vectors by attention over their H W places without the term of another
    modality; then the two linear maps and the LSTM, see above.

    Args:
        inputs: C, 128 for AVE's audio and 512 for its visual features.
        places: H * W of maps (49 in AVE), 0 for vectors. The published visual features have the
            channels last; move them to the third place.
        hidden: of the LSTM in each direction; 128 is the published network.
        segments: T for the features of every segment; 0 for their mean.
    """

    def __init__(
        self, inputs: int, places: int = 0, *, hidden: int = 128, segments: int = 0
    ) -> None:
        super().__init__()
        self.dim = 2 * hidden * max(1, segments)
        self.layout = Layout(max(1, segments))
        self.attention: nn.Module | None = None
        if places:
            self.attention = nn.Sequential(
                *_terms(inputs, hidden, places), nn.Tanh(), nn.Linear(places, 1, bias=False)
            )
        self.embed, self.lstm = _embed(inputs, hidden), reader(hidden)
        _as_released(self.attention or ())

    def forward(self, x: Tensor) -> Tensor:
        if self.attention is not None:
            v = at_places(x)
            alpha = self.attention(v).softmax(dim=2)  # (N, T, H W, 1)
            x = (alpha * v).sum(2)  # (N, T, C)
        h = read(self.lstm, self.embed(x))  # (N, T, 2 * hidden)
        return h.mean(1) if self.layout.segments == 1 else h.flatten(1)


class KeyEncoder(Encoder):
    """What guides attention: (N, T, C) -> (N, T * (2 * hidden + keys)), for every segment the
    LSTM's feature and the term G relu(U a).

    Args:
        inputs: C.
        segments: T.
        keys: rows of G.
        hidden: of the LSTM in each direction.
    """

    def __init__(self, inputs: int, *, segments: int, keys: int, hidden: int = 128) -> None:
        super().__init__()
        self.layout = Layout(segments, 1, keys)
        self.dim = segments * (2 * hidden + keys)
        self.keys = _terms(inputs, hidden, keys)
        self.embed, self.lstm = _embed(inputs, hidden), reader(hidden)
        _as_released(self.keys)

    def forward(self, x: Tensor) -> Tensor:
        values = read(self.lstm, self.embed(x))
        return torch.cat([values, self.keys(x)], dim=-1).flatten(1)


class PlaceEncoder(Encoder):
    """What attention chooses from: (N, T, C, H, W) -> (N, T * H W * (hidden + keys)), for every
    place the embedded value and the term B relu(A v_j). The LSTM that reads what was chosen is a
    part of the fusion.

    Args:
        inputs: C.
        places: H * W.
        segments: T.
        keys: rows of B.
        hidden: size of the values.
    """

    def __init__(
        self, inputs: int, places: int, *, segments: int, keys: int, hidden: int = 128
    ) -> None:
        super().__init__()
        self.layout = Layout(segments, places, keys)
        self.dim = segments * places * (hidden + keys)
        self.keys, self.embed = _terms(inputs, hidden, keys), _embed(inputs, hidden)
        _as_released(self.keys)

    def forward(self, x: Tensor) -> Tensor:
        v = at_places(x)
        return torch.cat([self.embed(v), self.keys(v)], dim=-1).flatten(1)


def at_places(x: Tensor) -> Tensor:
    """Maps (N, T, C, H, W) as vectors of their places (N, T, H W, C)."""
    return x.flatten(3).transpose(2, 3)


def reader(size: int) -> nn.LSTM:
    """The bidirectional LSTM of segments' features, `size` in each direction."""
    return nn.LSTM(size, size, batch_first=True, bidirectional=True)


def read(lstm: nn.Module, x: Tensor) -> Tensor:
    """(N, T, size) -> (N, T, 2 * size)."""
    # cuDNN's LSTM has no backward pass in evaluation mode and no second derivatives.
    with torch.backends.cudnn.flags(enabled=False):
        return lstm(x)[0]


def _terms(inputs: int, hidden: int, keys: int) -> nn.Sequential:
    """B relu(A x), the published 512 in the middle for the published hidden of 128."""
    return nn.Sequential(
        nn.Linear(inputs, 4 * hidden), nn.ReLU(), nn.Linear(4 * hidden, keys, bias=False)
    )


def _as_released(layers: Iterable[nn.Module]) -> None:
    """Begin these linear layers as the released code does."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)


def _embed(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 2 * hidden, bias=False), nn.Linear(2 * hidden, hidden, bias=False)
    )
