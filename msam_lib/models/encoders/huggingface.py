"""Encoders of text, images and sound from Hugging Face's `transformers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from msam_lib._utils.huggingface import from_pretrained
from msam_lib.data.containers import Modality
from msam_lib.errors import MsamError, unknown_name
from msam_lib.models.contexts import evaluating
from msam_lib.models.encoders.base import Encoder

POOLING = ("mean", "first")
# What a model reads, by the name of its input: kinds of modality and what they hold.
READS = {
    "input_ids": ("characters",),
    "pixel_values": ("image", "spectrogram", "video"),
    "input_values": ("vector", "spectrogram"),
    "input_features": ("spectrogram",),
}
# Parts of published networks that the features do not depend on.
UNUSED = ("pooler", "masked_spec_embed", "mask_token")
NEEDED = "a config.json and weights"


class HuggingFaceEncoder(Encoder):
    """Any model of text, images or sound that `AutoModel` loads: (N, ...) -> (N, D), the mean of
    its last hidden state over tokens, patches or frames.

    * Text: token ids (N, T); the attention mask is id != `padding`. A sample without any token
      keeps all its positions, for attention over nothing is undefined.
    * Images (N, C, H, W): one channel is repeated where the model wants three; a model of one fixed
      size gets the image resized to it, bilinearly. Values have to be normalised as in the model's
      training, for no image processor is involved (none works without torchvision).
    * Sound: a wave (N, S) at the rate of the model's training, or a spectrogram (N, 1, bins,
      frames), cut or filled with zeros to the model's number of frames.

    Of a model with a decoder the encoder is taken, of one for images and text (CLIP) the half that
    reads this modality. What the features do not depend on, such as BERT's pooler, is frozen.
    Weights are single precision, whatever the file has. Code from a model's own repository is not
    run.

    Args:
        name: a folder with `config.json` and weights (as `save_pretrained` writes it), or the name
            of a model in the cache. Nothing is fetched.
        modality: kind and shape of one sample.
        pooling: `"mean"`, or `"first"` for the first token alone ([CLS] where there is one).
        padding: the token id that is no token; by default the modality's.
        attention: `"sdpa"` or `"eager"`, transformers' `attn_implementation`.

    Raises:
        MsamError: the package is not installed, the model is not there or not whole, or it cannot
            read this modality.
    """

    def __init__(
        self,
        name: str,
        modality: Modality,
        *,
        pooling: str = "mean",
        padding: int | None = None,
        attention: str = "sdpa",
    ) -> None:
        super().__init__()
        if pooling not in POOLING:
            raise unknown_name("pooling", pooling, POOLING)
        self.pooling = pooling
        self.padding = modality.padding if padding is None else padding
        network = _part(_load(name, attention), modality.kind)
        config = network.config
        self.reads = str(network.main_input_name)
        if modality.kind not in READS.get(self.reads, ()):
            wanted = " or ".join(READS.get(self.reads, ())) or "nothing that is known here"
            raise MsamError(
                f"hf:{name} reads {self.reads}: {wanted}; this modality is a {modality.kind} of "
                f"shape {modality.shape}. Choose another model, or another encoder for it."
            )
        self.channels = int(getattr(config, "num_channels", 0) or 0)
        self.size, self.frames = _image_size(config), _frames(config)
        self.network = network
        for key, p in network.named_parameters():
            if key.split(".")[0] in UNUSED or key.split(".")[-1] in UNUSED:
                p.requires_grad_(False)
        self.dim = self._probed(name, modality)

    def forward(self, x: Tensor) -> Tensor:
        mask = None
        if self.reads == "input_ids":
            x = x.round().long() if x.is_floating_point() else x.long()
            mask = (x != self.padding).long()
            mask = torch.where(mask.any(dim=1, keepdim=True), mask, torch.ones_like(mask))
            hidden = self.network(input_ids=x, attention_mask=mask).last_hidden_state
        else:
            x = self._image(x) if self.reads == "pixel_values" else self._sound(x)
            hidden = self.network(**{self.reads: x}).last_hidden_state
        if hidden.dim() == 4:  # of a convolutional network (N, D, H, W)
            return hidden.mean(dim=(2, 3))
        if self.pooling == "first":
            return hidden[:, 0]
        if mask is None:
            return hidden.mean(dim=1)
        keep = mask.unsqueeze(-1).to(hidden)  # (N, T, 1)
        return (hidden * keep).sum(1) / keep.sum(1)

    def blocks(self) -> Sequence[nn.Module]:
        """The layers: of lists as long as the configuration says, else of all, the largest."""
        lists = [m for m in self.network.modules() if isinstance(m, nn.ModuleList)]
        said = getattr(self.network.config, "num_hidden_layers", None)
        fitting = [m for m in lists if len(m) == said] or lists

        def size(layers: nn.ModuleList) -> int:
            return sum(p.numel() for p in layers.parameters())

        return list(sorted(fitting, key=size)[-1]) if fitting else ()

    def top(self) -> Sequence[nn.Parameter]:
        """Trained parameters that the network defines after its last layer."""
        inside = {id(p) for block in self.blocks() for p in block.parameters()}
        every = list(self.network.parameters())
        last = max((i for i, p in enumerate(every) if id(p) in inside), default=len(every))
        return [p for p in every[last + 1 :] if p.requires_grad]

    def _image(self, x: Tensor) -> Tensor:
        """Pixels (N, C, H, W), or (N, T, C, H, W), with the model's channels and size."""
        if x.shape[-3] == 1 and self.channels > 1:
            x = x.expand(*x.shape[:-3], self.channels, *x.shape[-2:])
        if self.size and x.shape[-2:] != self.size:
            frames = x.flatten(0, -4)
            resized = nn.functional.interpolate(
                frames, self.size, mode="bilinear", align_corners=False, antialias=True
            )
            x = resized.view(*x.shape[:-2], *self.size)
        return x

    def _sound(self, x: Tensor) -> Tensor:
        """A wave as it is; a spectrogram (N, 1, bins, frames) as the model's layout wants it."""
        if x.dim() < 4:
            return x
        x = x[:, 0]
        if self.frames:
            x = nn.functional.pad(x, (0, max(0, self.frames - x.shape[2])))[:, :, : self.frames]
        return x if self.reads == "input_features" else x.transpose(1, 2)

    def _probed(self, name: str, modality: Modality) -> int:
        """The size of the features, found by reading one sample of zeros."""
        limit = int(getattr(self.network.config, "vocab_size", 0) or 0)
        if self.reads == "input_ids" and modality.vocabulary > limit > 0:
            raise MsamError(
                f"hf:{name} has {limit} tokens, this modality has {modality.vocabulary}. Make the "
                "token ids with the model's own tokenizer."
            )
        sample = torch.zeros(1, *modality.shape)
        try:
            with evaluating(self), torch.no_grad():
                return int(self(sample).shape[-1])
        except Exception as error:  # whatever the network raises at inputs that it cannot read
            reason = str(error).strip().split("\n")[0][:200]
            raise MsamError(
                f"hf:{name} cannot read samples of shape {modality.shape} as {self.reads} "
                f"({type(error).__name__}: {reason}). Change the data or take another model."
            ) from error


def reads_frames(name: str) -> bool:
    """Whether a model reads several frames at once, by its configuration."""
    return hasattr(from_pretrained("AutoConfig", name, NEEDED), "num_frames")


def _load(name: str, attention: str) -> Any:
    """The model, with all its weights from the file."""
    options = {"attn_implementation": attention, "output_loading_info": True}
    network, info = from_pretrained("AutoModel", name, NEEDED, **options)
    used = [k for k in info["missing_keys"] if not {*k.split(".")} & {*UNUSED}]
    if used or info["mismatched_keys"]:
        wrong = [str(k) for k in (*sorted(used), *info["mismatched_keys"])]
        raise MsamError(
            f"hf:{name}: {len(wrong)} of its weights are not in the file or have another shape, "
            f"the first of them {wrong[0]}. The folder is not whole, or its config.json is another "
            "model's; fetch or save it anew."
        )
    network.config.apply_spec_augment = False  # masks drawn outside torch, so not repeatable
    network.config.use_cache = False
    return network.float()


def _part(network: Any, kind: str) -> Any:
    """The encoder of a model with a decoder; of one for images and text, the half for this kind."""
    if getattr(network.config, "is_encoder_decoder", False):
        return network.get_encoder()
    half = "text_model" if kind == "characters" else "vision_model"
    both = hasattr(network, "text_model") and hasattr(network, "vision_model")
    return getattr(network, half) if both else network


def _image_size(config: Any) -> tuple[int, int] | None:
    """The one size (H, W) of the images, for a model that has one."""
    size = getattr(config, "image_size", None)
    if isinstance(size, int):
        return (size, size)
    return tuple(size) if size else None


def _frames(config: Any) -> int:
    """The number of frames of a spectrogram, 0 where any number is read."""
    if steps := getattr(config, "max_source_positions", 0):
        return 2 * int(steps)  # Whisper: its second convolution halves them
    return int(getattr(config, "max_length", 0) or 0) if hasattr(config, "num_mel_bins") else 0
