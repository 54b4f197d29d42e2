"""The recurrent encoder of a clip's segments, after the networks of the AVE data set."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from msam_lib.models.encoders.base import Encoder


class SegmentEncoder(Encoder):
    """Segments' features through a bidirectional LSTM: (N, T, C) or (N, T, C, H, W) -> (N, 2 *
    hidden).

    The part of one modality in AGM's network for AVE (Li et al., ICCV 2023), which is that of PSP
    (Zhou et al., CVPR 2021) after Tian et al. (ECCV 2018). Maps are reduced to vectors by spatial
    attention, alpha = softmax_j(w . tanh(B relu(A v_j))) and v = sum_j alpha_j v_j over the H W
    places; then two linear maps without biases and without anything between them (C -> 4 * hidden
    -> ... -> 2 * hidden -> hidden), and the LSTM.

    Two things differ. There, the audio guides the visual attention through a term G relu(U a)
    inside tanh, and positive sample propagation joins the two after the LSTM; both are cross-modal,
    so that they have no place in an encoder of one modality, and are left out. There, each of the
    10 segments gets one of 29 labels; here the features are the mean over segments, for one label
    per clip.

    Args:
        inputs: C, 128 for AVE's audio and 512 for its visual features.
        places: H * W of maps (49 in AVE), 0 for vectors. The published visual features have the
            channels last; move them to the third place.
        hidden: of the LSTM in each direction; 128 is the published network.
    """

    def __init__(self, inputs: int, places: int = 0, *, hidden: int = 128) -> None:
        super().__init__()
        self.dim = 2 * hidden
        self.attention: nn.Module | None = None
        if places:
            self.attention = nn.Sequential(
                nn.Linear(inputs, 4 * hidden),
                nn.ReLU(),
                nn.Linear(4 * hidden, places, bias=False),
                nn.Tanh(),
                nn.Linear(places, 1, bias=False),
            )
        self.embed = nn.Sequential(
            nn.Linear(inputs, 2 * hidden, bias=False), nn.Linear(2 * hidden, hidden, bias=False)
        )
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True, bidirectional=True)
        for layer in self.attention or ():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.attention is not None:
            v = x.flatten(3).transpose(2, 3)  # (N, T, H W, C)
            alpha = self.attention(v).softmax(dim=2)  # (N, T, H W, 1)
            x = (alpha * v).sum(2)  # (N, T, C)
        # cuDNN's LSTM has no backward pass in evaluation mode and no second derivatives.
        with torch.backends.cudnn.flags(enabled=False):
            return self.lstm(self.embed(x))[0].mean(1)
