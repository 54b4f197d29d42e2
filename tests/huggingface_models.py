"""Tiny Hugging Face models, randomly drawn and saved as their users would save them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch

from msam_lib.data import Modality

SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZE |= {"intermediate_size": 40}
WORDS = Modality("characters", (6,), vocabulary=30)
IMAGE = Modality("image", (1, 10, 10))
SOUND = Modality("vector", (200,))
SPECTROGRAM = Modality("spectrogram", (1, 16, 20))


def save_models(package, root: Path) -> dict[str, Path]:
    """{name: folder} of saved models; `package` is transformers."""
    convolutions = {"conv_dim": (8, 8), "conv_kernel": (10, 4), "conv_stride": (5, 4)}
    positions = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    encoder = {"encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 40}
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 40}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    sizes = {"d_model": 32, "max_source_positions": 16, "num_mel_bins": 16, "vocab_size": 40}
    configs = {
        "bert": package.BertConfig(vocab_size=30, max_position_embeddings=8, **SIZE),
        "vit": package.ViTConfig(image_size=8, patch_size=4, **SIZE),
        "wav2vec2": package.Wav2Vec2Config(layerdrop=0.3, **SIZE, **convolutions, **positions),
        "ast": package.ASTConfig(max_length=32, num_mel_bins=16, **SIZE),
        "whisper": package.WhisperConfig(**sizes, **encoder, **decoder, **tokens),
    }
    for name, config in configs.items():
        torch.manual_seed(0)
        package.AutoModel.from_config(config).save_pretrained(root / name)
    return {name: root / name for name in configs}


def save_tokenizer(package, folder: Path, padding: int = 0, words: str = "") -> None:
    """A tokenizer of whole words with 30 tokens; [CLS] comes first, [PAD] has the id `padding`."""
    tokenizers = import_module("tokenizers")
    every = ["[CLS]", "[UNK]", "[SEP]", *(words or "the a dog cat owl barks meows hoots").split()]
    every += [f"word{k}" for k in range(len(every), 29)]
    every.insert(padding, "[PAD]")
    model = tokenizers.models.WordLevel({w: i for i, w in enumerate(every)}, unk_token="[UNK]")
    rules = tokenizers.Tokenizer(model)
    rules.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = [("[CLS]", every.index("[CLS]"))]
    rules.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=special
    )
    package.PreTrainedTokenizerFast(
        tokenizer_object=rules, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    ).save_pretrained(folder)


def token_ids(n: int = 8, seed: int = 0) -> torch.Tensor:
    """Sentences (n, 6) of one to six words, filled with zeros."""
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 30, (n, 6), generator=g)
    return ids * (torch.arange(6) < torch.randint(1, 7, (n, 1), generator=g))
