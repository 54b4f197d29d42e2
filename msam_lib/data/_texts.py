"""Texts as numbers: hashed words and characters, which need no tokenizer, and the tokens of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from msam_lib._utils.huggingface import PREFIX, from_pretrained
from msam_lib.data.containers import Modality
from msam_lib.errors import DatasetCorrupt, MsamError

CODINGS = ("words", "characters")
FIRST, LAST = 32, 126  # printable ASCII
VOCABULARY = LAST - FIRST + 3  # 0 is padding, the last one any other character


class Coding(NamedTuple):
    """How texts become numbers.

    Args:
        modality: kind and shape of a coded text.
        dtype: as it is stored.
        code: from a text to its numbers.
        identity: changes with a tokenizer's content; empty where there is none.
    """

    modality: Modality
    dtype: str
    code: Callable[[str], np.ndarray]
    identity: str = ""


def coding(how: str, words: int, length: int) -> Coding:
    """The coding of a name.

    Args:
        how: `"words"` (see `hashed_words`), `"characters"` (see `characters`), or `"hf:NAME"`, a
            tokenizer of Hugging Face (see `tokens`).
        words: places of hashed words.
        length: of characters or tokens.

    Raises:
        MsamError: of a tokenizer: transformers is not installed, it is not on this machine, or it
            has no padding token.
    """
    if how.startswith(PREFIX):
        return tokens(how.removeprefix(PREFIX), length)
    if how == "words":
        return Coding(Modality("vector", (words,)), "<f2", lambda t: hashed_words(t, words))
    modality = Modality("characters", (length,), VOCABULARY)
    return Coding(modality, "<i2", lambda t: characters(t, length))


def hashed_words(text: str, size: int) -> np.ndarray:
    """Counts of the words of a text, each in the place of its hash, as a vector (size,) of length
    1; zeros for a text without words. Different words may share a place.

    Args:
        text: any; upper and lower case are the same.
        size: number of places.
    """
    # imported here, since it takes a second
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=size, alternate_sign=False)
    return np.asarray(hashing.transform([text]).todense(), np.float32)[0]


def characters(text: str, length: int) -> np.ndarray:
    """Symbols (length,) of the first characters in lower case, from 1 to VOCABULARY - 1; 0 behind
    the end.

    >>> characters("A b", 5)
    array([66,  1, 67,  0,  0], dtype=int16)
    """
    codes = [ord(c) for c in text.lower()[:length]]
    out: np.ndarray = np.zeros(length, np.int16)
    out[: len(codes)] = [c - FIRST + 1 if FIRST <= c <= LAST else VOCABULARY - 1 for c in codes]
    return out


def tokens(name: str, length: int) -> Coding:
    """Token ids (length,) of a Hugging Face tokenizer, with its special tokens: cut, or filled
    behind the end with its padding token. The attention mask is id != that token, which is how
    encoders find it (`Modality.padding`), and is compared with the tokenizer's own.

    Args:
        name: a folder that `save_pretrained` wrote, or a name in the cache; nothing is fetched.
        length: number of tokens.

    Raises:
        MsamError: see `coding`.
    """
    tokenizer = from_pretrained("AutoTokenizer", name, "the files of a tokenizer")
    padding = tokenizer.pad_token_id
    if padding is None:
        raise MsamError(
            f"{PREFIX}{name} has no padding token. Give it one and save it: tokenizer.pad_token = "
            "tokenizer.eos_token; tokenizer.save_pretrained(FOLDER); then name FOLDER."
        )
    tokenizer.padding_side = "right"

    def code(text: str) -> np.ndarray:
        found = tokenizer(text, truncation=True, padding="max_length", max_length=length)
        ids = np.array(found["input_ids"], np.int32)
        if not np.array_equal(ids != padding, np.array(found["attention_mask"]) != 0):
            raise DatasetCorrupt(
                f"The text {text[:60]!r} holds {tokenizer.pad_token!r}, {PREFIX}{name}'s padding "
                "token, so its mask would be wrong. Take it out."
            )
        return ids

    modality = Modality("characters", (length,), len(tokenizer), padding)
    return Coding(modality, "<i4", code, _content(tokenizer))


def _content(tokenizer: Any) -> str:
    """A digest of a tokenizer: of its rules, where it is a fast one, and of its tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = backend.to_str() if backend is not None else type(tokenizer).__name__
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(f"{rules} {vocabulary}".encode()).hexdigest()
