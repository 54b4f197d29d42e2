"""Short texts as numbers, without a downloaded tokenizer: hashed words, and characters."""

from __future__ import annotations

import numpy as np

FIRST, LAST = 32, 126  # printable ASCII
VOCABULARY = LAST - FIRST + 3  # 0 is padding, the last one any other character


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
